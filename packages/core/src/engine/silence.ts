// Owns the question whether the database says anything at all: since when each lane waits for an answer.
// Never decides what becomes of those who wait.
import type { Lane } from '../store/database.ts';

const LOOK_EVERY_MS = 250;

export interface Silence {
  asked(lane: Lane): void;
  answered(lane: Lane): void;
  /** Something waits for long. From now on, as long as no lane is free, `onSilent` is told what each has waited for. */
  look(): void;
}

/** `onSilent` gets a time by `performance.now()`: no lane has had an answer to what it was asked since then. */
export function createSilence(
  lanes: number,
  patienceMs: number,
  onSilent: (before: number) => void,
): Silence {
  const since = new Map<Lane, number>();
  let next: NodeJS.Timeout | undefined;
  const look = (): void => {
    clearTimeout(next);
    if (since.size < lanes) return;
    const before = performance.now() - patienceMs;
    if (Math.max(...since.values()) <= before) onSilent(before);
    next = setTimeout(afterReading, LOOK_EVERY_MS, look).unref();
  };
  return {
    asked: (lane) => void since.set(lane, performance.now()),
    answered: (lane) => void since.delete(lane),
    look,
  };
}

/** Answers that are there are read first: it may be this process that was held up. */
export function afterReading(look: () => void): void {
  setImmediate(look);
}
