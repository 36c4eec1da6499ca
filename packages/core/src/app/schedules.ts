// The verbs of schedules: registration in code, and what operators do with the rows. Which ticks are due, and who fires
// them, is decided in worker and store.

import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { checkName, scheduledWorkflowID, secondsToMilliseconds } from '../codec/index.ts';
import { parseCrontab } from '../cron/crontab.ts';
import {
  ConfigurationError,
  NotRegisteredError,
  UnknownQueueError,
  ValidationError,
} from '../errors/index.ts';
import { classifyFault } from '../store/faults.ts';
import * as store from '../store/schedules.ts';
import type { ScheduleMode, ScheduleRow } from '../store/schedules.ts';
import { checkOptions } from './check-options.ts';
import type { PawlCore } from './core.ts';
import { queuesStored } from './queues.ts';
import type { Runtime } from './runtime.ts';

export interface ScheduleOptions {
  /**
   * When it ticks: five fields (minute, hour, day of the month, month, day of the week) or six (a second before them).
   * `'0 9 * * MON-FRI'`: on working days at 9.
   */
  crontab: string;
  /** Whose clocks the crontab is about: a name of the IANA database. Default 'UTC'. */
  timezone?: string;
  /**
   * What becomes of ticks that come while no process is there to fire them. 'skip-missed' (default): nothing. 'catch-up':
   * each of them is run later, in its order.
   */
  mode?: ScheduleMode;
  /** Unique in the schema; it is part of the ids of the runs. Default: the workflow's name. */
  name?: string;
  /** Runs wait in this queue. Default: none, they run at once. */
  queueName?: string;
  /** Each run begins up to so many seconds after its tick, at random. Default 0. */
  jitterSeconds?: number;
}

const SCHEDULE_OPTIONS: Record<keyof ScheduleOptions, true> = {
  crontab: true,
  timezone: true,
  mode: true,
  name: true,
  queueName: true,
  jitterSeconds: true,
};

/** A schedule that is registered. */
export interface Schedule {
  readonly name: string;
  readonly workflowName: string;
  readonly crontab: string;
  readonly timezone: string;
  readonly mode: ScheduleMode;
}

export interface ScheduleInfo extends Schedule {
  queueName: string | null;
  jitterSeconds: number;
  paused: boolean;
  /** The next tick, in milliseconds of the epoch. null while it is paused. */
  nextAt: number | null;
  /** The last tick that was fired. */
  lastAt: number | null;
}

export function registerScheduled(
  core: PawlCore,
  workflow: { readonly workflowName: string },
  options: ScheduleOptions,
): Schedule {
  const given = workflow as { workflowName?: string } | undefined;
  const registration = core.registry.find(given?.workflowName ?? '');
  if (registration === undefined)
    throw new ConfigurationError(
      'registerScheduled() takes a workflow of the same Pawl: the one that registerWorkflow() returned.',
    );
  checkOptions('registerScheduled()', options ?? null, SCHEDULE_OPTIONS);
  const { crontab, timezone = 'UTC', mode = 'skip-missed' } = options;
  const name = checkName(options.name ?? registration.name, 'schedule name');
  if (core.schedules.has(name))
    throw new ConfigurationError(
      `A schedule named "${name}" is registered already. Give this one another name: registerScheduled(workflow, { name: '…' }).`,
    );
  if (mode !== 'skip-missed' && mode !== 'catch-up')
    throw new ConfigurationError(
      `The mode of schedule "${name}" must be 'skip-missed' or 'catch-up', not ${JSON.stringify(mode)}.`,
    );
  parseCrontab(crontab, timezone);
  const schedule = { name, workflowName: registration.name, crontab, timezone, mode };
  core.schedules.set(name, {
    ...schedule,
    queueName: options.queueName === undefined ? null : checkName(options.queueName, 'queue name'),
    jitterMs: secondsToMilliseconds(options.jitterSeconds ?? 0, `jitterSeconds of schedule "${name}"`),
    timeoutMs: registration.timeoutMs ?? null,
  });
  // Not awaited here: a registration says nothing about the database. What fails is tried again by the next tick.
  if (core.state === 'ready' && core.runtime !== undefined) written(core, core.runtime).catch(() => {});
  return Object.freeze(schedule);
}

/** The row of a schedule, with those written that were registered just before. */
async function read(core: PawlCore, verb: string, name: string): Promise<ScheduleRow> {
  const runtime = core.outsideTransaction(verb);
  checkName(name, 'schedule name');
  const refusal = await written(core, runtime);
  const [row] = await store.readSchedules(runtime.database, name);
  if (row === undefined)
    throw refusal !== undefined && core.schedules.has(name)
      ? refusal
      : new NotRegisteredError(name, 'schedule');
  return row;
}

/** What was registered just before. Where the database is away, what follows says so. The answer: why some were not. */
async function written(core: PawlCore, { scheduler }: Runtime): Promise<UnknownQueueError | undefined> {
  await queuesStored(core);
  try {
    await scheduler.register();
  } catch (error) {
    if (error instanceof UnknownQueueError) return error;
    if (classifyFault(error) !== 'connection') throw error;
  }
  return undefined;
}

function nextOf({ crontab, timezone, now }: ScheduleRow): number | null {
  return parseCrontab(crontab, timezone).next(new Date(now))?.getTime() ?? null;
}

export async function setPaused(core: PawlCore, name: string, paused: boolean): Promise<void> {
  const verb = paused ? 'pauseSchedule' : 'resumeSchedule';
  await core.recordedCall(verb, async () => {
    for (;;) {
      const row = await read(core, verb, name);
      const change = { name, paused, revision: row.revision, next: paused ? null : nextOf(row) };
      const { database, executor } = core.outsideTransaction(verb);
      if (!(await store.pauseSchedule(database, change))) continue;
      // Here it is known at once that something may be due; elsewhere by a tick.
      executor.poke();
      return;
    }
  });
}

/** The id of the run. */
export async function triggerSchedule(
  core: PawlCore,
  name: string,
  { encode } = core.codec,
): Promise<string> {
  // Drawn once: by it a repeated call recognizes its run.
  const drawn = randomUUID();
  return core.recordedCall('triggerSchedule', async () => {
    const { now } = await read(core, 'triggerSchedule', name);
    const workflowID = scheduledWorkflowID(name, `trigger-${drawn}`);
    const at = new Date(now);
    await start(core, 'triggerSchedule', name, [{ workflowID, input: encode([at, at]) }]);
    return workflowID;
  });
}

const MOST_TICKS = 10_000;
const BATCH = 500;

/** The ids of the runs. */
export async function backfillSchedule(
  core: PawlCore,
  name: string,
  from: Date,
  to: Date,
): Promise<string[]> {
  for (const date of [from, to])
    if (!(date instanceof Date) || Number.isNaN(date.getTime()))
      throw new ValidationError(
        'backfillSchedule() takes two valid dates: from, and to which does not belong to it.',
      );
  return core.recordedCall('backfillSchedule', async () => {
    const row = await read(core, 'backfillSchedule', name);
    const startedAt = new Date(row.now);
    const runs: store.Run[] = [];
    for (const tick of parseCrontab(row.crontab, row.timezone).ticks(from, to)) {
      // What is still to come is left to the schedule.
      if (tick > startedAt) break;
      if (runs.length % BATCH === 0) await turn();
      if (runs.length === MOST_TICKS)
        throw new ValidationError(
          `Schedule "${name}" has more than ${MOST_TICKS} ticks in that time. Nothing was started; call backfillSchedule() for parts of it.`,
        );
      runs.push({
        workflowID: scheduledWorkflowID(name, tick.toISOString()),
        input: core.codec.encode([tick, startedAt]),
      });
    }
    for (let i = 0; i < runs.length; i += BATCH)
      await start(core, 'backfillSchedule', name, runs.slice(i, i + BATCH));
    return runs.map(({ workflowID }) => workflowID);
  });
}

async function start(core: PawlCore, verb: string, name: string, runs: readonly store.Run[]): Promise<void> {
  const { database, claimSoon, dispatchSoon } = core.outsideTransaction(verb);
  if (!(await store.startFromSchedule(database, name, runs))) throw new NotRegisteredError(name, 'schedule');
  claimSoon();
  dispatchSoon();
}

export async function listSchedules(core: PawlCore): Promise<ScheduleInfo[]> {
  const runtime = core.outsideTransaction('listSchedules');
  await written(core, runtime);
  const rows = await store.readSchedules(runtime.database);
  return rows.map((row) => ({
    name: row.name,
    workflowName: row.workflow_name,
    crontab: row.crontab,
    timezone: row.timezone,
    mode: row.mode,
    queueName: row.queue_name,
    jitterSeconds: row.jitter_ms / 1000,
    paused: row.paused,
    nextAt: row.paused ? null : row.next_at,
    lastAt: row.last_at,
  }));
}
