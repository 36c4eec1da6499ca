// The flush of a lone operation, without arrays of one: the commonest of a workflow, and what callers send and enqueue one
// at a time. Where the general function would have something to say of a workflow's, nothing is written, and it is asked.

import type { Lane, TextRow } from './database.ts';
import type { Operation } from './operations.ts';

const START = `SELECT pawl.flush_one_start($1::text::bigint, $2::text, $3::text, $4::text::int, $5::text, $6::text, $7::text)`;
const TRACED_START = `${START.slice(0, -1)}, $8::text)`;
const STEP = `SELECT pawl.flush_one_step($1::text, $2::text::int, $3::text::int, $4::text::int, $5::text, $6::text, $7::text,
 $8::text, $9::text, $10::text::int, $11::text::float8)`;
const END = `SELECT pawl.flush_one_end($1::text, $2::text::int, $3::text, $4::text, $5::text)`;
const ROWS = 'SELECT op, outcome, output, error, detail, at FROM pawl.';
const MESSAGE = `${ROWS}flush_one_message($1::text::bigint, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text::boolean,
 $8::text)`;
const WAIT = `${ROWS}flush_one_wait($1::text, $2::text::int, $3::text::int, $4::text::int, $5::text, $6::text, $7::text::float8)`;
const ENQUEUE = `${ROWS}flush_one_enqueue($1::text, $2::text, $3::text::int, $4::text, $5::text, $6::text, $7::text,
 $8::text::int, $9::text, $10::text, $11::text::float8, $12::text)`;

/** Rows as the general function gives them. undefined: it is none of these, or was refused. */
export function flushOne(
  lane: Lane,
  executor: number,
  operation: Operation,
): Promise<readonly TextRow[] | undefined> | undefined {
  const { fenced, start, step, end, answer, event, entry, message, wait, park, hook } = operation;
  if (answer || event || entry || park || hook) return undefined;
  if (fenced === undefined) {
    if (message !== undefined) {
      const { destination, id, topic, body, sender, trace } = message;
      const rest = [String(message.park), trace ?? null];
      return rowsOf(lane, MESSAGE, [String(executor), destination, id, topic, body, sender, ...rest]);
    }
    if (start === undefined) return undefined;
    const { workflowID, nonce, fence, name, version, input, extra, queued, trace } = start;
    const row = [workflowID, nonce, String(fence), name, version, input];
    if (queued !== undefined) {
      if (trace !== undefined) return undefined;
      const { queue, priority, partitionKey, deduplicationID, delayMs } = queued;
      const rest = [queue, text(priority), partitionKey, deduplicationID, text(delayMs), extra];
      return rowsOf(lane, ENQUEUE, [...row, ...rest]);
    }
    if (extra !== null) return undefined;
    const params = [String(executor), ...row];
    return trace === undefined ? call(lane, START, params) : call(lane, TRACED_START, [...params, trace]);
  }
  if (start !== undefined || message !== undefined) return undefined;
  const { workflowID, fence, stepID, seq } = fenced;
  if (wait !== undefined) {
    // The other kinds lock another workflow too.
    if (wait.kind !== 'recv' && wait.kind !== 'sleep') return undefined;
    const { kind, target, timeoutMs } = wait;
    return rowsOf(lane, WAIT, [
      ...[workflowID, String(fence), text(stepID), text(seq), kind, target, text(timeoutMs)],
    ]);
  }
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
      text(step.attempts),
      text(step.durationMs),
    ]);
  }
  if (end !== undefined)
    return call(lane, END, [workflowID, String(fence), end.status, end.output, end.error]);
  return undefined;
}

function text(value: number | null): string | null {
  return value === null ? null : String(value);
}

const WRITTEN: readonly TextRow[] = [];
const FIRED: readonly TextRow[] = [['-1', 'fired', null, null, null, null]];

/** For the functions that say no more than 'written', 'fired' or 'refused'. */
function call(
  lane: Lane,
  statement: string,
  params: (string | null)[],
): Promise<readonly TextRow[] | undefined> {
  return lane.call(statement, params).then((rows) => {
    const said = rows[0]?.[0];
    return said === 'refused' ? undefined : said === 'fired' ? FIRED : WRITTEN;
  });
}

function rowsOf(
  lane: Lane,
  statement: string,
  params: (string | null)[],
): Promise<readonly TextRow[] | undefined> {
  return lane.call(statement, params).then((rows) => (rows[0]?.[1] === 'refused' ? undefined : rows));
}
