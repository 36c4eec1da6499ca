// The rows of schedules (sql/0011_schedules.sql). Times are milliseconds of the epoch, by the database's clock; which
// instants a crontab's ticks are is asked of `cron`, never here.

import { plainArray, textArray } from './arrays.ts';
import type { Lane, Queryable } from './database.ts';

export type ScheduleMode = 'skip-missed' | 'catch-up';

export interface ScheduleTimes {
  readonly crontab: string;
  readonly timezone: string;
}

/** A schedule as code registers it. */
export interface ScheduleDefinition extends ScheduleTimes {
  readonly name: string;
  readonly workflowName: string;
  readonly mode: ScheduleMode;
  readonly queueName: string | null;
  readonly jitterMs: number;
  /** Of each of its runs. */
  readonly timeoutMs: number | null;
}

export interface RegisterOptions {
  executor: number;
  lockClass: number;
  /** Embedded: no other process lives. */
  alone: boolean;
  /** Each with its first tick from now. */
  schedules: readonly { definition: ScheduleDefinition; next: number | null }[];
}

/** Returns a queue that does not exist; then nothing was written. */
export async function registerSchedules(lane: Lane, options: RegisterOptions): Promise<string | undefined> {
  const { executor, lockClass, alone, schedules } = options;
  const texts = (of: (definition: ScheduleDefinition) => string | null) =>
    textArray(schedules.map(({ definition }) => of(definition)));
  const rows = await lane.call(
    `SELECT unknown_queue FROM pawl.register_schedules($1::text::bigint, $2::text::int, $3::text::boolean, $4::text::text[],
       $5::text::text[], $6::text::text[], $7::text::text[], $8::text::text[], $9::text::text[], $10::text::float8[],
       $11::text::float8[], $12::text::float8[])`,
    [
      ...[String(executor), String(lockClass), String(alone)],
      ...[texts(({ name }) => name), texts(({ workflowName }) => workflowName)],
      ...[texts(({ crontab }) => crontab), texts(({ timezone }) => timezone)],
      ...[texts(({ mode }) => mode), texts(({ queueName }) => queueName)],
      plainArray(schedules.map(({ definition }) => definition.jitterMs)),
      plainArray(schedules.map(({ definition }) => definition.timeoutMs)),
      plainArray(schedules.map(({ next }) => next)),
    ],
  );
  return rows[0]?.[0] ?? undefined;
}

export interface DueSchedule extends ScheduleTimes {
  name: string;
  workflowName: string;
  mode: ScheduleMode;
  /** Its runs wait in a queue. */
  queued: boolean;
  revision: number;
  nextAt: number;
}

export interface DueSchedules {
  due: DueSchedule[];
  /** When the next of the others ticks. */
  next: number | undefined;
  now: number;
}

const DUE = `SELECT s.name, s.workflow_name, s.crontab, s.timezone, s.mode, s.revision, pawl.epoch_ms(s.next_at),
   pawl.epoch_ms(c.now), s.queue_name
 FROM (SELECT pawl.clock() AS now OFFSET 0) c CROSS JOIN pawl.schedule s
 WHERE s.name = ANY ($1::text::text[]) AND NOT s.paused AND s.next_at IS NOT NULL
 ORDER BY s.next_at, s.name LIMIT 100`;

/** Of the named ones those that are due, or the hundred that are it for longest. */
export async function dueSchedules(lane: Lane, names: readonly string[]): Promise<DueSchedules> {
  const rows = await lane.call(DUE, [textArray(names)]);
  const due: DueSchedule[] = [];
  for (const [name, workflowName, crontab, timezone, mode, revision, at, clock, queue] of rows) {
    const [nextAt, now] = [Number(at), Number(clock)];
    if (nextAt > now) return { due, next: nextAt, now };
    due.push({
      name: name as string,
      workflowName: workflowName as string,
      crontab: crontab as string,
      timezone: timezone as string,
      mode: mode as ScheduleMode,
      queued: queue !== null,
      revision: Number(revision),
      nextAt,
    });
  }
  return { due, next: undefined, now: Number(rows[0]?.[7] ?? 0) };
}

export interface Run {
  workflowID: string;
  /** The encoded arguments. */
  input: string | null;
}

export interface Firing {
  name: string;
  /** Of the row that all of this was computed from. */
  revision: number;
  runs: readonly Run[];
  /** The last of the ticks, and the one after them. */
  last: number | null;
  next: number | null;
}

/** Names those that were fired; another process was first with the rest, or they were changed. */
export async function fireSchedules(lane: Lane, firings: readonly Firing[]): Promise<Set<string>> {
  const runs = firings.flatMap((firing) => firing.runs.map((run) => ({ ...run, schedule: firing.name })));
  const rows = await lane.call(
    `SELECT fired FROM pawl.fire_schedules($1::text::text[], $2::text::int[], $3::text::float8[], $4::text::float8[],
       $5::text::text[], $6::text::text[], $7::text::text[])`,
    [
      textArray(firings.map(({ name }) => name)),
      plainArray(firings.map(({ revision }) => revision)),
      plainArray(firings.map(({ last }) => last)),
      plainArray(firings.map(({ next }) => next)),
      textArray(runs.map(({ schedule }) => schedule)),
      textArray(runs.map(({ workflowID }) => workflowID)),
      textArray(runs.map(({ input }) => input)),
    ],
  );
  return new Set(rows.map(([name]) => name as string));
}

/** False: there is no such schedule. */
export async function startFromSchedule(on: Queryable, name: string, runs: readonly Run[]): Promise<boolean> {
  const { rows } = await on.query<{ known: boolean }>(
    'SELECT pawl.start_from_schedule($1::text, $2::text::text[], $3::text::text[]) AS known',
    [name, textArray(runs.map(({ workflowID }) => workflowID)), textArray(runs.map(({ input }) => input))],
  );
  return rows[0]?.known ?? false;
}

/** `next`: the first tick from now, by the row of that revision. False: the row is another one by now. */
export async function pauseSchedule(
  on: Queryable,
  { name, paused, revision, next }: { name: string; paused: boolean; revision: number; next: number | null },
): Promise<boolean> {
  const { rows } = await on.query<{ done: boolean }>(
    'SELECT pawl.pause_schedule($1::text, $2::boolean, $3::int, $4::float8) AS done',
    [name, paused, revision, next],
  );
  return rows[0]?.done ?? false;
}

export interface ScheduleRow extends ScheduleTimes {
  name: string;
  workflow_name: string;
  mode: ScheduleMode;
  queue_name: string | null;
  jitter_ms: number;
  paused: boolean;
  revision: number;
  next_at: number | null;
  last_at: number | null;
  now: number;
}

const COLUMNS = `s.name, s.workflow_name, s.crontab, s.timezone, s.mode, s.queue_name, s.jitter_ms, s.paused, s.revision,
  pawl.epoch_ms(s.next_at) AS next_at, pawl.epoch_ms(s.last_at) AS last_at, pawl.epoch_ms(pawl.clock()) AS now`;

/** All of them, by name, or the named one. */
export async function readSchedules(on: Queryable, name?: string): Promise<ScheduleRow[]> {
  const { rows } = await on.query<ScheduleRow>(
    `SELECT ${COLUMNS} FROM pawl.schedule s WHERE $1::text IS NULL OR s.name = $1 ORDER BY s.name`,
    [name ?? null],
  );
  return rows;
}
