// What chance decides about a statement, and how an answer is told in a trace.
import type { Random } from '../determinism/random.ts';
import type { Connections, Fate } from './connections.ts';

export function fate(random: Random, { concurrent }: Connections): Fate {
  if (!concurrent) return { held: false, pauseAt: 0 };
  return { held: random.chance(35), pauseAt: random.chance(20) ? random.whole(1, 3) : 0 };
}

/** Half the time all of them, else some. */
export function some<T>(random: Random, from: readonly T[]): T[] {
  if (random.chance(50)) return [...from];
  const picked = from.filter(() => random.chance(50));
  return picked.length === 0 ? [random.pick(from)] : picked;
}

export function told(answer: unknown): string {
  const text = JSON.stringify(answer, (_, value: unknown) => (value === null ? undefined : value)) ?? '';
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
