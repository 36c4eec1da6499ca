// One flush: operations into parallel arrays, one call of the schema's function, rows into answers.
// The arrays are built in one pass; the numbers of the parameters are fixed, so the statement is prepared once.

import { plainArray, textArray } from './arrays.ts';
import type { Lane, Queryable, TextRow } from './database.ts';
import type { Answer, FlushResult, Operation } from './operations.ts';

const INT = 'int[]';
const TEXT = 'text[]';
const BOOL = 'boolean[]';
const FLOAT = 'float8[]';

// In the order of the function's parameters, after the executor and the ids to lock.
const COLUMNS = [
  INT,
  TEXT,
  INT,
  INT,
  INT,
  BOOL, // f
  INT,
  TEXT,
  TEXT,
  INT,
  TEXT,
  TEXT,
  TEXT,
  TEXT, // n
  INT,
  TEXT,
  INT,
  INT,
  TEXT,
  TEXT,
  TEXT,
  TEXT,
  TEXT,
  TEXT,
  TEXT,
  INT,
  INT,
  FLOAT, // s
  INT,
  TEXT,
  TEXT,
  INT,
  TEXT,
  BOOL, // e
  INT,
  TEXT,
  TEXT,
  TEXT,
  TEXT,
  TEXT,
  BOOL, // m
  INT,
  TEXT,
  TEXT,
  TEXT,
  TEXT, // z
  INT,
  TEXT,
  INT,
  INT,
  TEXT,
  TEXT,
  TEXT,
  FLOAT,
  INT, // w
  INT,
  TEXT, // p
];

const FLUSH = `SELECT op, outcome, output, error, detail, at FROM pawl.flush($1::text::bigint, $2::text::text[], ${COLUMNS.map(
  (type, i) => `$${i + 3}::text::${type}`,
).join(', ')})`;

/** Sends operations in one transaction of their own. */
export async function flush(
  lane: Lane,
  executor: number,
  operations: readonly Operation[],
): Promise<FlushResult> {
  return decode(await lane.call(FLUSH, encode(executor, operations)), operations.length);
}

/** The same inside a transaction that somebody else commits, on a client that sends texts as they are. */
export async function flushWithin(
  tx: Pick<Queryable, 'query'>,
  qualify: (text: string) => string,
  executor: number,
  operations: readonly Operation[],
): Promise<FlushResult> {
  const { rows } = await tx.query<Record<string, string | number | null>>(
    qualify(FLUSH),
    encode(executor, operations),
  );
  const texts = rows.map((row): TextRow =>
    ['op', 'outcome', 'output', 'error', 'detail', 'at'].map((column) => {
      const value = row[column];
      return value === null || value === undefined ? null : String(value);
    }),
  );
  return decode(texts, operations.length);
}

type Cell = string | number | boolean | null;

function encode(executor: number, operations: readonly Operation[]): string[] {
  const lock: string[] = [];
  const columns: Cell[][] = COLUMNS.map(() => []);
  for (let op = 0; op < operations.length; op++) {
    const { fenced, start, step, event, message, end, wait, park } = operations[op] as Operation;
    if (fenced) {
      lock.push(fenced.workflowID);
      put(columns, 0, [op, fenced.workflowID, fenced.fence, fenced.stepID, fenced.seq, fenced.keep]);
    }
    if (start) {
      lock.push(start.workflowID);
      put(columns, 6, [
        op,
        start.workflowID,
        start.nonce,
        start.fence,
        start.name,
        start.version,
        start.input,
        start.extra,
      ]);
    }
    if (message) {
      lock.push(message.destination);
      put(columns, 34, [
        op,
        message.destination,
        message.id,
        message.topic,
        message.body,
        message.sender,
        message.park,
      ]);
    }
    if (fenced === undefined) continue;
    const { workflowID, fence, stepID, seq } = fenced;
    if (step) {
      put(columns, 14, [
        op,
        workflowID,
        stepID,
        fence,
        step.kind,
        step.name,
        step.target,
        step.output,
        step.error,
        step.childID,
        step.outcome,
        seq,
        step.attempts,
        step.durationMs,
      ]);
    }
    if (event) put(columns, 28, [op, workflowID, event.key, seq, event.value, event.once]);
    if (end) put(columns, 41, [op, workflowID, end.status, end.output, end.error]);
    if (wait) {
      if (wait.target !== null && wait.kind !== 'recv') lock.push(wait.target);
      put(columns, 46, [
        op,
        workflowID,
        stepID,
        fence,
        wait.kind,
        wait.name,
        wait.target,
        wait.timeoutMs,
        seq,
      ]);
    }
    if (park) {
      for (const id of park) lock.push(id);
      put(columns, 55, [op, workflowID]);
    }
  }
  const params: string[] = [String(executor), textArray(lock)];
  for (let i = 0; i < columns.length; i++) {
    const column = columns[i] as Cell[];
    params.push(
      COLUMNS[i] === TEXT
        ? textArray(column as (string | null)[])
        : plainArray(column as (number | boolean | null)[]),
    );
  }
  return params;
}

function put(columns: Cell[][], first: number, cells: readonly Cell[]): void {
  for (let i = 0; i < cells.length; i++) (columns[first + i] as Cell[]).push(cells[i] as Cell);
}

function decode(rows: readonly TextRow[], count: number): FlushResult {
  const result: FlushResult = {
    answers: new Array<Answer | undefined>(count),
    fired: false,
    ready: false,
    hints: [],
  };
  for (const [op, outcome, output, error, detail, at] of rows) {
    const index = Number(op);
    if (index >= 0) {
      result.answers[index] = {
        outcome: outcome as Answer['outcome'],
        output: output ?? null,
        error: error ?? null,
        detail: detail ?? null,
        at: at === null || at === undefined ? null : Number(at),
      };
    } else if (outcome === 'fired') result.fired = true;
    else if (outcome === 'ready') result.ready = true;
    else if (outcome === 'hint')
      result.hints.push({ workflowID: output as string, executor: Number(detail) });
  }
  return result;
}
