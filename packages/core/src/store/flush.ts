// One flush: operations into parallel arrays, one call of the schema's function, rows into answers. Only the groups
// that are there are sent; each combination is a statement of its own, prepared once.

import { plainArray, textArray } from './arrays.ts';
import type { Lane, Queryable, TextRow } from './database.ts';
import { errorCode } from './faults.ts';
import { flushOne } from './flush-one.ts';
import type { Answer, FlushResult, Operation } from './operations.ts';

// The groups of the function's parameters: i integers, t texts, b booleans, d floats. The first column of each is
// the number of the operation.
const GROUPS = {
  f: ['op i', 'wf t', 'fence i', 'step i', 'seq i', 'keep b'],
  n: ['op i', 'id t', 'nonce t', 'fence i', 'name t', 'version t', 'input t', 'extra t'],
  s: [
    'op i',
    'wf t',
    'step i',
    'fence i',
    'kind t',
    'name t',
    'target t',
    'output t',
    'error t',
    'child t',
    'outcome t',
    'seq i',
    'attempts i',
    'ms d',
  ],
  e: ['op i', 'wf t', 'key t', 'seq i', 'value t', 'once b'],
  m: ['op i', 'destination t', 'id t', 'topic t', 'body t', 'sender t', 'park b', 'trace t'],
  z: ['op i', 'wf t', 'fence i', 'status t', 'output t', 'error t'],
  w: ['op i', 'wf t', 'step i', 'fence i', 'kind t', 'name t', 'target t', 'timeout d', 'seq i'],
  p: ['op i', 'wf t'],
  h: ['op i', 'wf t', 'hash t', 'topic t', 'ttl d'],
  q: [
    'op i',
    'id t',
    'nonce t',
    'fence i',
    'name t',
    'version t',
    'input t',
    'queue t',
    'priority i',
    'partition t',
    'dedup t',
    'delay d',
    'extra t',
  ],
  x: ['op i', 'wf t', 'key t', 'step i', 'value t', 'closed b'],
  k: [
    'op i',
    'id t',
    'owner t',
    'generation d',
    'attempt i',
    'retention d',
    'status i',
    'headers t',
    'body t',
  ],
} as const;
/** Their columns may be shorter than that of the operations. */
const FILLED = new Set<Group>(['s', 'n', 'm', 'q']);
type Group = keyof typeof GROUPS;
const ORDER = Object.keys(GROUPS) as Group[];
const TYPES = { i: 'int[]', t: 'text[]', b: 'boolean[]', d: 'float8[]' };

type Cell = string | number | boolean | null;
type Columns = Partial<Record<Group, Cell[][]>>;

export interface FlushOptions {
  /** A rerun, or one that met a row that it did not expect: looks for conflicts everywhere. */
  careful?: boolean;
  /** Asked if the flush had to wait for a connection. */
  wanted?: () => boolean;
}

/** Sends operations in one transaction of their own. */
export async function flush(
  { call, close }: Lane,
  executor: number,
  operations: readonly Operation[],
  options: FlushOptions = {},
): Promise<FlushResult> {
  const lane: Lane = { call: (text, params) => call(text, params, options.wanted), close };
  const careful = options.careful === true || operations.some(needsCare);
  if (!careful && operations.length === 1) {
    const one = await flushOne(lane, executor, operations[0] as Operation);
    if (one !== undefined) return decode(one, 1);
  }
  try {
    const { text, params } = encode(executor, operations, careful);
    return decode(await lane.call(text, params), operations.length);
  } catch (error) {
    if (careful || errorCode(error) !== '23505') throw error;
    const { text, params } = encode(executor, operations, true);
    return decode(await lane.call(text, params), operations.length);
  }
}

/** COMMIT follows at once, or the process is paused or cut off, and its locks would keep peers from taking over. */
const COMMIT_SOON = `set_config('idle_in_transaction_session_timeout', '5s', true) IS NOT NULL`;

/**
 * The same inside a transaction that somebody else commits, on a client that sends texts as they are. `last`: nothing
 * comes between this call and COMMIT. `hint`: what to tell all processes after it.
 */
export async function flushWithin(
  tx: Pick<Queryable, 'query'>,
  qualify: (text: string) => string,
  executor: number,
  operations: readonly Operation[],
  { last = false, hint }: { last?: boolean; hint?: 'r' | 'q' | undefined } = {},
): Promise<FlushResult> {
  const { text, params } = encode(executor, operations, true);
  let also = '';
  if (last) also += ` AND ${COMMIT_SOON}`;
  if (hint !== undefined) also += ` AND pawl.hint('${hint}') IS NOT NULL`;
  const sent = text.replace('$2::text::boolean', (careful) => careful + also);
  const { rows } = await tx.query<Record<string, string | number | null>>(qualify(sent), params);
  const texts = rows.map((row): TextRow =>
    ['op', 'outcome', 'output', 'error', 'detail', 'at'].map((column) => {
      const value = row[column];
      return value === null || value === undefined ? null : String(value);
    }),
  );
  return decode(texts, operations.length);
}

/** Rows that it inserts may be there: an id that the caller chose, a wait or an attempt that has its row already. */
function needsCare(operation: Operation): boolean {
  const { start, step } = operation;
  return (start?.chosen === true && start.queued === undefined) || step?.begun === true;
}

/** As exact as the database is, and half as long to write and to read as all the digits of a difference. */
function inMicroseconds(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1000) / 1000;
}

/** The row of a step that is kept says all that the function has to know of its fence. */
function isToldByStep({ fenced, step, end }: Operation): boolean {
  return fenced === undefined || end !== undefined || (step !== undefined && fenced.keep);
}

function encode(
  executor: number,
  operations: readonly Operation[],
  careful: boolean,
): { text: string; params: string[] } {
  const columns: Columns = {};
  const sources: string[] = [];
  const others: string[] = [];
  const isToldBySteps = operations.every(isToldByStep);
  for (let op = 0; op < operations.length; op++) {
    const { fenced, start, step, event, entry, message, hook, end, answer, wait, park } = operations[
      op
    ] as Operation;
    if (start) {
      // Nobody else has an id that was made for a place in a queue: there is nothing to lock, or what a first try wrote.
      if (careful && (start.chosen || start.queued === undefined)) others.push(start.workflowID);
      const { workflowID, nonce, fence, name, version, input, queued } = start;
      const row = [op, workflowID, nonce, fence, name, version, input];
      const extra = start.trace === undefined ? start.extra : withTrace(start.extra, start.trace);
      if (queued === undefined) put(columns, 'n', [...row, extra]);
      else {
        const { queue, priority, partitionKey, deduplicationID, delayMs } = queued;
        put(columns, 'q', [...row, queue, priority, partitionKey, deduplicationID, delayMs, extra]);
      }
    }
    if (message) {
      others.push(message.destination);
      put(columns, 'm', [
        op,
        message.destination,
        message.id,
        message.topic,
        message.body,
        message.sender,
        message.park,
        message.trace ?? null,
      ]);
    }
    if (fenced === undefined) continue;
    const { workflowID, fence, stepID, seq } = fenced;
    sources.push(workflowID);
    if (end) {
      // Its update is lock and fence in one.
      put(columns, 'z', [op, workflowID, fence, end.status, end.output, end.error]);
      if (answer) {
        const { id, owner, generation, attempt, retentionMs, status, headers, body } = answer;
        put(columns, 'k', [op, id, owner, generation, attempt, retentionMs, status, headers, body]);
      }
      continue;
    }
    if (!isToldBySteps) put(columns, 'f', [op, workflowID, fence, stepID, seq, fenced.keep]);
    if (step) {
      put(columns, 's', [
        op,
        workflowID,
        stepID,
        fence,
        step.kind === 'step' ? null : step.kind,
        step.name,
        step.target,
        step.output,
        step.error,
        step.childID,
        step.outcome,
        seq,
        step.attempts,
        inMicroseconds(step.durationMs),
      ]);
    }
    if (hook) put(columns, 'h', [op, workflowID, hook.tokenHash, hook.topic, hook.ttlMs]);
    if (event) put(columns, 'e', [op, workflowID, event.key, seq, event.value, event.once]);
    if (entry) put(columns, 'x', [op, workflowID, entry.key, stepID, entry.value, entry.closed]);
    if (wait) {
      if (wait.target !== null && wait.kind !== 'recv') others.push(wait.target);
      put(columns, 'w', [
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
      for (const id of park) others.push(id);
      put(columns, 'p', [op, workflowID]);
    }
  }
  const params = [
    String(executor),
    String(careful),
    others.length === 0 ? '' : textArray(others.concat(sources)),
  ];
  let mask = '';
  for (const group of ORDER) {
    const cells = columns[group];
    if (cells === undefined) continue;
    mask += group;
    for (let i = 0; i < cells.length; i++) {
      const column = cells[i] as Cell[];
      const isText = (GROUPS[group][i] as string).endsWith(' t');
      if (isNothing(group, i, column)) params.push('{}');
      else
        params.push(
          isText ? textArray(column as (string | null)[]) : plainArray(column as (number | boolean | null)[]),
        );
    }
  }
  return { text: statement(mask), params };
}

function withTrace(extra: string | null, trace: string): string {
  return JSON.stringify({ ...(JSON.parse(extra ?? '{}') as object), trace });
}

/** A column that is NULL in every row is an empty array: unnest fills it up. */
function isNothing(group: Group, index: number, column: readonly Cell[]): boolean {
  if (index === 0 || !FILLED.has(group)) return false;
  for (const cell of column) if (cell !== null) return false;
  return true;
}

const statements = new Map<string, string>();

/** The call with just these groups. An empty text for the ids to lock is NULL. */
function statement(mask: string): string {
  let text = statements.get(mask);
  if (text === undefined) {
    let n = 3;
    const args = [...mask].flatMap((group) =>
      GROUPS[group as Group].map((column) => {
        const [name, type] = column.split(' ') as [string, keyof typeof TYPES];
        return `${group}_${name} => $${++n}::text::${TYPES[type]}`;
      }),
    );
    text = `SELECT op, outcome, output, error, detail, at FROM pawl.flush(${[
      'p_executor => $1::text::bigint',
      'p_careful => $2::text::boolean',
      `p_lock => nullif($3::text, '')::text[]`,
      ...args,
    ].join(', ')})`;
    statements.set(mask, text);
  }
  return text;
}

function put(columns: Columns, group: Group, cells: readonly Cell[]): void {
  let target = columns[group];
  if (target === undefined) columns[group] = target = cells.map(() => []);
  for (let i = 0; i < cells.length; i++) (target[i] as Cell[]).push(cells[i] as Cell);
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
