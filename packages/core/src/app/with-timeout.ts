// A promise with a time limit of any length.

import { DatabaseUnavailableError } from '../errors/index.ts';

const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** So much longer a database that does not answer is waited for; then nothing is known, and that is said. */
const PATIENCE_MS = 3000;

export interface TimeLimit {
  timeoutMs: number;
  /** The limit is not enforced before this: what is there is found, however short the time. */
  looked: Promise<void>;
  /** The time is up. */
  abandon: () => void;
  /** Absent: resolves with null instead of rejecting. */
  late?: () => Error;
}

export function withTimeout<T>(promise: Promise<T>, limit: TimeLimit): Promise<T> {
  if (!Number.isFinite(limit.timeoutMs)) return promise;
  const end = performance.now() + limit.timeoutMs;
  return new Promise<T>((resolve, reject) => {
    let timer: NodeJS.Timeout;
    const giveUp = async () => {
      if (!(await settlesWithin(limit.looked, PATIENCE_MS))) {
        limit.abandon();
        reject(
          new DatabaseUnavailableError('The database did not answer within a few seconds. Repeat the call.'),
        );
        return;
      }
      // What the look found was settled before; a promise that is settled first wins.
      await new Promise(setImmediate);
      limit.abandon();
      if (limit.late === undefined) resolve(null as T);
      else reject(limit.late());
    };
    const arm = () => {
      const remaining = end - performance.now();
      const next = () => (end - performance.now() > 1 ? arm() : void giveUp());
      timer = setTimeout(next, Math.min(Math.max(0, remaining), LONGEST_TIMER_MS));
    };
    arm();
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

async function settlesWithin(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const settled = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return settled;
}
