// The flush of a lone workflow: one operation, one of the commonest three, without arrays. One that meets anything
// unusual has written nothing and says so; the general flush then answers.

import type { Lane } from './database.ts';
import type { Operation } from './operations.ts';

const START = `SELECT pawl.flush_one_start($1::text::bigint, $2::text, $3::text, $4::text::int, $5::text, $6::text, $7::text)`;
const TRACED_START = `${START.slice(0, -1)}, $8::text)`;
const STEP = `SELECT pawl.flush_one_step($1::text, $2::text::int, $3::text::int, $4::text::int, $5::text, $6::text, $7::text,
 $8::text, $9::text, $10::text::int, $11::text::float8)`;
const END = `SELECT pawl.flush_one_end($1::text, $2::text::int, $3::text, $4::text, $5::text)`;

export type OneAnswer = 'written' | 'fired' | 'refused';

/** undefined: it is none of these. 'refused': nothing is written, the general flush has something to say. */
export function flushOne(lane: Lane, executor: number, operation: Operation): Promise<OneAnswer> | undefined {
  const { fenced, start, step, end } = operation;
  const { event, entry, message, wait, park, hook } = operation;
  if (event || entry || message || wait || park || hook) return undefined;
  if (start !== undefined) {
    if (fenced !== undefined || start.extra !== null || start.queued !== undefined) return undefined;
    const { workflowID, nonce, fence, name, version, input, trace } = start;
    const params = [String(executor), workflowID, nonce, String(fence), name, version, input];
    if (trace === undefined) return call(lane, START, params);
    return call(lane, TRACED_START, [...params, trace]);
  }
  if (fenced === undefined) return undefined;
  const { workflowID, fence, stepID, seq } = fenced;
  if (step !== undefined) {
    if (seq === null || step.childID !== null || step.outcome !== null) return undefined;
    return call(lane, STEP, [
      workflowID,
      String(fence),
      String(stepID),
      String(seq),
      step.kind,
      step.name,
      step.target,
      step.output,
      step.error,
      step.attempts === null ? null : String(step.attempts),
      step.durationMs === null ? null : String(step.durationMs),
    ]);
  }
  if (end !== undefined)
    return call(lane, END, [workflowID, String(fence), end.status, end.output, end.error]);
  return undefined;
}

function call(lane: Lane, text: string, params: (string | null)[]): Promise<OneAnswer> {
  return lane.call(text, params).then((rows) => rows[0]?.[0] as OneAnswer);
}
