// The calls that move workflows from outside their runs, typed: claim, wake, watch, cancel, resume, fork, delete,
// takeover, tick. One round trip each.

import { plainArray, textArray } from './arrays.ts';
import type { Lane, Queryable, TextRow } from './database.ts';
import type { StepKind } from './operations.ts';

/** A row of the journal as recovery needs it. */
export interface JournalRow {
  stepID: number;
  kind: StepKind;
  name: string | null;
  target: string | null;
  childID: string | null;
  outcome: string | null;
  output: string | null;
  error: string | null;
  seq: number | null;
  attempts: number | null;
  deadline: number | null;
  completed: boolean;
}

export interface ClaimedWorkflow {
  workflowID: string;
  name: string;
  fence: number;
  nonce: string;
  attempts: number;
  deadline: number | null;
  input: string | null;
  user: string | null;
  roles: string | null;
  trace: string | null;
  /** When it was first begun, by the database's clock. */
  startedAt: number;
  /** The queue whose slot it holds. */
  queue: string | null;
  /** It ran before, here or elsewhere. */
  rerun: boolean;
  journal: JournalRow[];
}

/** What a process can run: a workflow's name, its version here, and its recovery limit. */
export interface Served {
  name: string;
  version: string;
  maxRecoveryAttempts: number;
}

/** What a process has in memory, by queue, and which queues it serves; undefined: all. */
export interface Occupied {
  queues: readonly string[] | undefined;
  counts: ReadonlyMap<string, number>;
}

/** As three arguments: served queues, then names and counts of what is in memory. */
export function occupiedParams({ queues, counts }: Occupied): (string | null)[] {
  return [
    queues === undefined ? null : textArray([...queues]),
    textArray([...counts.keys()]),
    plainArray([...counts.values()]),
  ];
}

export interface ClaimOptions {
  executor: number;
  limit: number;
  served: readonly Served[];
  anyVersion: boolean;
  /** Those that are blocked, and only those. */
  blocked: boolean;
  /** Default: nothing, and every queue is served. */
  occupied?: Occupied;
  /** Called if more are due, for which this process has no slot of their queue. `hidden`: and others may be behind them. */
  onFull?: (hidden: boolean) => void;
  /** Called if somebody holds blocked ones, which are left. */
  onHeld?: () => void;
}

const NOTHING: Occupied = { queues: undefined, counts: new Map() };
const JOURNAL_BYTES = 4_000_000;
export const JOURNAL_COLUMNS =
  'workflow_id, header, input, step_id, kind, name, target, child_id, outcome, output, error, seq, attempts, deadline, completed';

/** Claims due workflows and loads their journals; large journals take further pages. */
export async function claim(lane: Lane, options: ClaimOptions): Promise<ClaimedWorkflow[]> {
  const { served } = options;
  let rows = await lane.call(
    `SELECT ${JOURNAL_COLUMNS} FROM pawl.claim($1::text::bigint, $2::text::int, $3::text::text[], $4::text::text[], $5::text::int[], $6::text::boolean, $7::text::boolean, ${JOURNAL_BYTES}, $8::text::text[], $9::text::text[], $10::text::int[])`,
    [
      String(options.executor),
      String(options.limit),
      textArray(served.map((s) => s.name)),
      textArray(served.map((s) => s.version)),
      plainArray(served.map((s) => s.maxRecoveryAttempts)),
      String(options.anyVersion),
      String(options.blocked),
      ...occupiedParams(options.occupied ?? NOTHING),
    ],
  );
  const full = rows.find((row) => row[4] === 'full');
  if (rows.some((row) => row[4] === 'held')) options.onHeld?.();
  if (full !== undefined) options.onFull?.(full[14] === 't' || full[14] === 'true');
  const claimed = new Map<string, ClaimedWorkflow>();
  for (;;) {
    const more = collect(rows, claimed);
    if (more === undefined) return [...claimed.values()];
    rows = await lane.call(
      `SELECT ${JOURNAL_COLUMNS} FROM pawl.journal_page($1::text::text[], $2::text, $3::text::int, ${JOURNAL_BYTES})`,
      [textArray([...claimed.keys()]), more.workflowID, String(more.stepID)],
    );
  }
}

/** Of rows without journals. */
export function collectClaimed(rows: readonly TextRow[]): ClaimedWorkflow[] {
  const claimed = new Map<string, ClaimedWorkflow>();
  collect(rows, claimed);
  return [...claimed.values()];
}

function collect(
  rows: readonly TextRow[],
  claimed: Map<string, ClaimedWorkflow>,
): { workflowID: string; stepID: number } | undefined {
  for (const row of rows) {
    // By index: to take a row apart by its iterator took a tenth of what a claimed workflow costs here.
    const id = row[0];
    const kind = row[4];
    // A remark on all of them.
    if (id === null || id === undefined) continue;
    const workflowID = id;
    if (kind === 'more') return { workflowID, stepID: Number(row[3]) };
    if (kind === 'workflow') {
      const fields = JSON.parse(row[1] as string) as Omit<
        ClaimedWorkflow,
        'workflowID' | 'input' | 'journal'
      >;
      claimed.set(workflowID, Object.assign(fields, { workflowID, input: row[2] ?? null, journal: [] }));
      continue;
    }
    claimed.get(workflowID)?.journal.push({
      stepID: Number(row[3]),
      kind: kind as StepKind,
      name: row[5] ?? null,
      target: row[6] ?? null,
      childID: row[7] ?? null,
      outcome: row[8] ?? null,
      output: row[9] ?? null,
      error: row[10] ?? null,
      seq: numeric(row[11]),
      attempts: numeric(row[12]),
      deadline: numeric(row[13]),
      completed: row[14] === 't' || row[14] === 'true',
    });
  }
  return undefined;
}

function numeric(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}

export interface TraceOfRun {
  workflowID: string;
  fence: number;
  trace: string;
}

/** Stores what tracing wants to have back with the next claim. */
export async function keepTraces(lane: Lane, traces: readonly TraceOfRun[]): Promise<void> {
  await lane.call('SELECT pawl.keep_traces($1::text::text[], $2::text::int[], $3::text::text[])', [
    textArray(traces.map(({ workflowID }) => workflowID)),
    plainArray(traces.map(({ fence }) => fence)),
    textArray(traces.map(({ trace }) => trace)),
  ]);
}

/** Hints to send: 0 stands for any executor, -1 for those whose rows somebody holds. */
export async function wake(lane: Lane): Promise<{ executor: number; workflowID: string }[]> {
  const rows = await lane.call('SELECT executor, id FROM pawl.wake(500)', []);
  return rows.map(([executor, id]) => ({ executor: Number(executor), workflowID: id as string }));
}

/** What a caller waits for: the result, an event, or (a stream) anything after the last event that it knows. */
export type WatchKind = 'r' | 'e' | 's';

export interface Watched {
  kind: WatchKind;
  workflowID: string;
  /** Of a stream: the event after which there is something. */
  key: string;
  status: string;
  output: string | null;
  error: string | null;
}

export interface WatchOptions {
  executor: number;
  register: boolean;
  results: readonly string[];
  events: readonly { workflowID: string; key: string }[];
  /** Who follows: key '' its events, any other a stream. `after` null: waits for its start. */
  followed: readonly { workflowID: string; key: string; after: number | null }[];
}

/** Looks for results and events; `register` leaves a waiter for what is not there yet. */
export async function watch(lane: Lane, options: WatchOptions): Promise<Watched[]> {
  const rows = await lane.call(
    'SELECT kind, id, key, status, output, error FROM pawl.watch($1::text::bigint, $2::text::boolean, $3::text::text[], $4::text::text[], $5::text::text[], $6::text::text[], $7::text::text[], $8::text::int[])',
    [
      String(options.executor),
      String(options.register),
      textArray(options.results),
      textArray(options.events.map((e) => e.workflowID)),
      textArray(options.events.map((e) => e.key)),
      textArray(options.followed.map((f) => f.workflowID)),
      textArray(options.followed.map((f) => f.key)),
      plainArray(options.followed.map((f) => f.after)),
    ],
  );
  return rows.map(([kind, id, key, status, output, error]) => ({
    kind: kind as WatchKind,
    workflowID: id as string,
    key: key ?? '',
    status: status ?? '',
    output: output ?? null,
    error: error ?? null,
  }));
}

/** Takes back the waiters of callers who gave up. */
export async function unwatch(
  lane: Lane,
  executor: number,
  waits: readonly { workflowID: string; kind: WatchKind; key: string }[],
): Promise<void> {
  await lane.call(
    'SELECT pawl.unwatch($1::text::bigint, $2::text::text[], $3::text::text[], $4::text::text[])',
    [
      String(executor),
      textArray(waits.map((wait) => wait.workflowID)),
      textArray(waits.map((wait) => wait.kind)),
      textArray(waits.map((wait) => wait.key)),
    ],
  );
}

export interface Owned {
  workflowID: string;
  executor: number | null;
  /** That of the run which this concerns: a later one may have begun by the time the answer is read. */
  fence: number;
}

interface OwnedRow {
  id: string;
  owner: string | number | null;
  fence: number;
}

/** Cancels what has not ended; names what it cancelled and who ran it. */
export async function cancel(on: Queryable, ids: readonly string[], children: boolean): Promise<Owned[]> {
  const { rows } = await on.query<OwnedRow>(
    'SELECT id, owner, fence FROM pawl.cancel($1::text::text[], $2::text::boolean, false, NULL)',
    [textArray(ids), String(children)],
  );
  return rows.map(owned);
}

export async function cancelNoticed(lane: Lane, executor: number, ids: readonly string[]): Promise<void> {
  await lane.call('SELECT pawl.cancel_noticed($1::text::bigint, $2::text::text[])', [
    String(executor),
    textArray(ids),
  ]);
}

/** Makes what is cancelled, given up, blocked or queued runnable, in the version that is served here, if it is. Names
 *  all ids that exist. */
export async function resume(
  on: Queryable,
  ids: readonly string[],
  served: readonly Served[] = [],
): Promise<(Owned & { changed: boolean })[]> {
  const { rows } = await on.query<OwnedRow & { changed: boolean }>(
    'SELECT id, owner, changed, fence FROM pawl.resume($1::text::text[], $2::text::text[], $3::text::text[])',
    [
      textArray(ids),
      textArray(served.map(({ name }) => name)),
      textArray(served.map(({ version }) => version)),
    ],
  );
  return rows.map((row) => ({ ...owned(row), changed: row.changed }));
}

export interface ForkOptions {
  workflowID: string;
  fromStep: number;
  newWorkflowID: string;
  nonce: string;
  version: string | null;
}

/** null: there is no such workflow. */
export async function fork(on: Queryable, options: ForkOptions): Promise<'forked' | 'exists' | null> {
  const { rows } = await on.query<{ fork: 'forked' | 'exists' | null }>(
    'SELECT pawl.fork($1, $2, $3, $4, $5) AS fork',
    [options.workflowID, options.fromStep, options.newWorkflowID, options.nonce, options.version],
  );
  return rows[0]?.fork ?? null;
}

/** Deletes workflows with all that belongs to them. */
export async function forget(on: Queryable, ids: readonly string[]): Promise<Owned[]> {
  const { rows } = await on.query<OwnedRow>('SELECT id, owner, fence FROM pawl.forget($1::text::text[])', [
    textArray(ids),
  ]);
  return rows.map(owned);
}

/** Makes a parked workflow due at once. */
export async function rouse(lane: Lane, workflowID: string): Promise<void> {
  await lane.call('SELECT pawl.rouse($1::text)', [workflowID]);
}

export async function block(lane: Lane, workflowID: string, fence: number, reason: string): Promise<void> {
  await lane.call('SELECT pawl.block($1::text, $2::text::int, $3::text)', [
    workflowID,
    String(fence),
    reason,
  ]);
}

function owned({ id, owner, fence }: OwnedRow): Owned {
  return { workflowID: id, executor: owner === null ? null : Number(owner), fence };
}
