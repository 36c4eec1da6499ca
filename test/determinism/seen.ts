// What processes saw, as lines of a file, and the recorder that reads them in the order in which they were written.

import type { NamedProgram } from './generations.ts';
import { type Ending, randomProgram } from './program.ts';
import { createRandom } from './random.ts';
import type { Recorder, Trace } from './recorder.ts';

export type Seen =
  | { what: 'body'; run: string; workflowID: string }
  | { what: 'call'; run: string; label: string; stepID: number }
  | { what: 'got'; run: string; label: string; result?: unknown }
  | { what: 'refused'; run: string }
  | { what: 'executes'; workflowID: string; stepID: number; label: string }
  /** Written between two lives: what the journals held. */
  | { what: 'recorded'; keys: string[] }
  | { what: 'ending'; workflowID: string; ending: Ending };

/** The same in every process. */
export function programsOf(seed: number, count: number): NamedProgram[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, i) => ({ id: `s${seed}p${i}`, program: randomProgram(random) }));
}

/** Ends with the endings. */
export function replaySeen(lines: readonly Seen[], recorder: Recorder): Map<string, Ending> {
  const life = { dead: false };
  const runs = new Map<string, Trace>();
  const endings = new Map<string, Ending>();
  for (const seen of lines) {
    if (seen.what === 'body') runs.set(seen.run, recorder.body(life, seen.workflowID));
    else if (seen.what === 'call') runs.get(seen.run)?.call(seen.label, seen.stepID);
    else if (seen.what === 'got') runs.get(seen.run)?.got(seen.label, seen.result);
    else if (seen.what === 'refused') runs.get(seen.run)?.refused();
    else if (seen.what === 'executes') recorder.executes(life, seen.workflowID, seen.stepID, seen.label);
    else if (seen.what === 'recorded') recorder.recorded(seen.keys);
    else endings.set(seen.workflowID, seen.ending);
  }
  return endings;
}
