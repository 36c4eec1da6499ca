// The list of curves, in the order in which they run.
import type { Figures, Turn } from '../contract.ts';
import { concurrency } from './concurrency.ts';
import type { Curve } from './curve.ts';
import { finished } from './finished.ts';
import { parked } from './parked.ts';
import { payload } from './payload.ts';
import { processes } from './processes.ts';
import { steps } from './steps.ts';

export const curves: readonly Curve[] = [steps, payload, concurrency, processes, parked, finished];

/** What a child process is told to run. */
export function pointName(curve: Curve, x: number): string {
  return `growth ${curve.id} ${x}`;
}

/** The turn behind such a name, in the form of a scenario; undefined if it names no point. */
export function pointNamed(
  name: string,
): { turn(contender: unknown, turn: Turn): Promise<Figures> } | undefined {
  const [, id, x] = /^growth (\S+) (\d+)$/.exec(name) ?? [];
  const curve = curves.find((each) => each.id === id);
  return curve && { turn: (_contender, turn) => curve.turn(Number(x), turn) };
}
