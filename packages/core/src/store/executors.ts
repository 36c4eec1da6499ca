// Rows of executors: registration, the tick with its lease, suspicion and takeover, hand-over at the end.

import { textArray } from './arrays.ts';
import type { Database, Lane, Queryable } from './database.ts';
import type { Served } from './lifecycle.ts';

/** `armed` of an executor that stopped as it should: what it could not hand back by then is no recovery attempt. */
export const HANDED_OVER = -1;

export interface ExecutorRow {
  executorID: string;
  applicationVersion: string | null;
  host: string;
  pid: number;
  leaseMs: number;
  served: readonly Served[];
  /** It claims what it has the name of, in any version. */
  anyVersion: boolean;
}

/** The number of a new incarnation, before its row: its lock is taken in between. */
export async function nextExecutorNumber(database: Database): Promise<number> {
  const { rows } = await database.query<{ number: string | number }>(
    `SELECT nextval(pg_get_serial_sequence($1, 'number'))::float8 AS number`,
    [database.qualify('pawl.executor')],
  );
  return Number(rows[0]?.number);
}

/** The session's lock that says that this incarnation lives. Tried, not waited for: the server may not have noticed
 *  yet that our last connection is gone. */
export async function takeSessionLock(on: Queryable, lockClass: number, number: number): Promise<boolean> {
  const { rows } = await on.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1, $2) AS locked', [
    lockClass,
    number,
  ]);
  return rows[0]?.locked ?? false;
}

/** Answers with the database's clock, milliseconds of the epoch. */
export async function registerExecutor(
  on: Queryable,
  number: number,
  locked: boolean,
  row: ExecutorRow,
): Promise<number> {
  const { rows } = await on.query<{ now: number }>(
    `INSERT INTO pawl.executor (number, executor_id, application_version, host, pid, locked, names, versions, any_version, started_at, lease_until)
     SELECT $1::bigint, $2, $3, $4, $5::integer, $6, $7::text::text[], $8::text::text[], $9, c.now,
       c.now + $10::float8 * interval '1 millisecond' FROM (SELECT pawl.clock() AS now) c
     RETURNING pawl.epoch_ms(started_at) AS now`,
    [
      ...[number, row.executorID, row.applicationVersion, row.host, row.pid, locked],
      ...[...servedArrays(row.served), row.anyVersion, row.leaseMs],
    ],
  );
  return Number(rows[0]?.now);
}

function servedArrays(served: readonly Served[]): [names: string, versions: string] {
  return [textArray(served.map(({ name }) => name)), textArray(served.map(({ version }) => version))];
}

/** What would end the waits of this process. */
export interface Awaited {
  /** Workflows that wait for messages. */
  messages: readonly { workflowID: string; topic: string }[];
  /** Workflows whose results are awaited. */
  results: readonly string[];
  events: readonly { workflowID: string; key: string }[];
}

export interface TickOptions {
  executor: number;
  lockClass: number;
  leaseMs: number;
  /** The lease shall last from now. */
  renew: boolean;
  armed: number;
  locked: boolean;
  /** Embedded: every other executor is gone. */
  alone: boolean;
  /** What workflows in memory wait for: the fallback of lost hints. */
  awaited: Awaited;
  /** The encoded error of a workflow whose deadline passed. */
  timeoutError: string;
  /** What this process can claim, if that has changed. */
  served: readonly Served[] | undefined;
  /** Names of the schedules that this process fires. */
  schedules?: readonly string[];
}

export interface TickResult {
  lost: boolean;
  ready: boolean;
  /** Something waits in a queue. */
  queued: boolean;
  /** When the next delay is over, by the database's clock. */
  nextDue: number | undefined;
  /** When the oldest that is ready became due, by the database's clock. */
  dueSince: number | undefined;
  /** Something that this process serves is blocked because nobody did. */
  stranded: boolean;
  fired: boolean;
  cancelled: { workflowID: string; executor: number | null; fence: number }[];
  /** Perhaps dead; `gone`: declared so, and something of it is still to be taken over. */
  suspects: { number: number; armed: number; gone: boolean }[];
  /** Workflows with unread messages. */
  messages: { workflowID: string; topic: string }[];
  /** Workflows that ended. */
  results: string[];
  /** Events that are set. */
  events: { workflowID: string; key: string }[];
  /** Other code of what this process serves, where any version may claim: names and versions. */
  others: string[];
  /** When the next of the schedules ticks, or ticked. */
  nextSchedule: number | undefined;
  /** Sweeps that are due. */
  upkeep: string[];
  /** The database's clock, milliseconds of the epoch. */
  clock: number | undefined;
}

const TICK = `SELECT what, id, detail, at FROM pawl.tick($1::text::bigint, $2::text::int, $3::text::float8, $4::text::boolean,
 $5::text::int, $6::text::boolean, $7::text::boolean, $8::text::text[], $9::text::text[], $10::text::text[],
 $11::text::text[], $12::text::text[], $13::text, $14::text::text[], $15::text::text[],
 $16::text::text[])`;

export async function tick(lane: Lane, options: TickOptions): Promise<TickResult> {
  const rows = await lane.call(TICK, [
    String(options.executor),
    String(options.lockClass),
    String(options.leaseMs),
    String(options.renew),
    String(options.armed),
    String(options.locked),
    String(options.alone),
    textArray(options.awaited.messages.map((message) => message.workflowID)),
    textArray(options.awaited.messages.map((message) => message.topic)),
    textArray(options.awaited.results),
    textArray(options.awaited.events.map((event) => event.workflowID)),
    textArray(options.awaited.events.map((event) => event.key)),
    options.timeoutError,
    ...(options.served === undefined ? [null, null] : servedArrays(options.served)),
    textArray(options.schedules ?? []),
  ]);
  const result: TickResult = {
    lost: false,
    ready: false,
    queued: false,
    nextDue: undefined,
    dueSince: undefined,
    stranded: false,
    fired: false,
    cancelled: [],
    suspects: [],
    messages: [],
    results: [],
    events: [],
    others: [],
    nextSchedule: undefined,
    upkeep: [],
    clock: undefined,
  };
  for (const [what, id, detail, at] of rows) {
    if (what === 'clock') result.clock = Number(at);
    else if (what === 'ready') {
      result.ready = true;
      result.dueSince = Number(at);
    } else if (what === 'queued') result.queued = true;
    else if (what === 'delayed') result.nextDue = Number(at);
    else if (what === 'stranded') result.stranded = true;
    else if (what === 'other') result.others = (detail as string).split('\n');
    else if (what === 'schedule') result.nextSchedule = Number(at);
    else if (what === 'upkeep') result.upkeep.push(id as string);
    else if (what === 'fired') result.fired = true;
    else if (what === 'lost') result.lost = true;
    else if (what === 'message') result.messages.push({ workflowID: id as string, topic: detail as string });
    else if (what === 'result') result.results.push(id as string);
    else if (what === 'event') result.events.push({ workflowID: id as string, key: detail as string });
    else if (what === 'suspect' || what === 'gone') {
      result.suspects.push({ number: Number(id), armed: Number(detail), gone: what === 'gone' });
    } else if (what === 'cancelled') {
      result.cancelled.push({
        workflowID: id as string,
        executor: detail === null || detail === undefined ? null : Number(detail),
        fence: Number(at),
      });
    }
  }
  return result;
}

export interface Stranded {
  workflowID: string;
  name: string;
  version: string | null;
  /** null: somebody serves it now. */
  reason: string | null;
}

/** Blocks what is due for so long and served by nobody, and unblocks what this executor serves. */
export async function strand(lane: Lane, number: number, dueMs: number, limit: number): Promise<Stranded[]> {
  const rows = await lane.call(
    'SELECT id, name, version, reason FROM pawl.strand($1::text::bigint, $2::text::float8, $3::text::int)',
    [String(number), String(dueMs), String(limit)],
  );
  return rows.map(([id, name, version, reason]) => ({
    workflowID: id as string,
    name: name as string,
    version: version ?? null,
    reason: reason ?? null,
  }));
}

/** True if the executor is gone, by this call or before. */
export async function declareGone(
  lane: Lane,
  number: number,
  armed: number,
  lockClass: number,
  alone: boolean,
): Promise<boolean> {
  const rows = await lane.call(
    'SELECT pawl.declare_gone($1::text::bigint, $2::text::int, $3::text::int, $4::text::boolean)',
    [String(number), String(armed), String(lockClass), String(alone)],
  );
  return rows[0]?.[0] === 't' || rows[0]?.[0] === 'true';
}

/** Hands one batch back; 0 when nothing is left. `gone` counts it as a recovery attempt. */
export async function release(lane: Lane, number: number, gone: boolean): Promise<number> {
  const rows = await lane.call('SELECT pawl.release($1::text::bigint, $2::text::boolean, 500)', [
    String(number),
    String(gone),
  ]);
  return Number(rows[0]?.[0] ?? 0);
}

/**
 * Hands back what this executor owns without knowing of it, and owned at `before`: a tick's clock that came before
 * `known` was put together, so that whatever began since is not missed in it. Answers how many.
 */
export async function disown(
  lane: Lane,
  number: number,
  known: readonly string[],
  before: number,
): Promise<number> {
  const rows = await lane.call('SELECT pawl.disown($1::text::bigint, $2::text::text[], $3::text::float8)', [
    String(number),
    textArray(known),
    String(before),
  ]);
  return Number(rows[0]?.[0] ?? 0);
}

/** Rows of executors that are long gone and own nothing. */
export async function forgetGoneExecutors(on: Queryable): Promise<void> {
  await on.query(`DELETE FROM pawl.executor e WHERE e.gone_at < pawl.clock() - interval '1 day'
    AND NOT EXISTS (SELECT 1 FROM pawl.workflow w WHERE w.owner = e.number AND w.status = 'PENDING')`);
}

/** The end of an incarnation that handed everything back. */
export async function retire(lane: Lane, number: number): Promise<void> {
  await lane.call(
    `UPDATE pawl.executor SET gone_at = pawl.clock(), armed = ${HANDED_OVER} WHERE number = $1::text::bigint`,
    [String(number)],
  );
}
