// Fires the schedules that this process has registered: computes which ticks are due and which one is next, and has the
// database start their runs. Never decides alone: of all who fire a tick, the row lets one.
//
//   registered ─► alarm at the next tick ─► look: what is due ─► fire ─┐
//                      ▲                                               │
//                      └───────────────── look again ◄─────────────────┘
// The alarm is set by whoever looks, and by each tick of the executor, so that nothing depends on it.

import { scheduledWorkflowID } from '../codec/index.ts';
import { type Crontab, parseCrontab } from '../cron/crontab.ts';
import type { Engine } from '../engine/engine.ts';
import { UnknownQueueError } from '../errors/index.ts';
import type { Lane } from '../store/database.ts';
import { classifyFault } from '../store/faults.ts';
import {
  type DueSchedule,
  dueSchedules,
  type Firing,
  fireSchedules,
  registerSchedules,
  type ScheduleDefinition,
  type ScheduleTimes,
} from '../store/schedules.ts';
import { schemaClass } from '../store/schema-name.ts';

export interface Scheduler {
  /** Writes what was registered; from then on it is fired. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** The same for what was registered since. */
  register(): Promise<void>;
  /** Those that are written. */
  readonly names: readonly string[];
  /** What a tick reported: when one of them is due. */
  due(at: number | undefined): void;
}

export interface SchedulerOptions {
  engine: Engine;
  lane: Lane;
  definitions: ReadonlyMap<string, ScheduleDefinition>;
  /** Something is there to be claimed; `queued`: taken out of a queue. */
  fired: (what: { queued: boolean }) => void;
}

/** How late a tick may come that is skipped when it is missed: it may have been under way. */
const LATE_MS = 10_000;
/** Runs in one call. A schedule that catches up on more goes on with the next. */
const MOST_RUNS = 500;

interface Plan extends Firing {
  schedule: DueSchedule;
  /** The first of the ticks that are skipped. */
  skipped: number | undefined;
}

export function createScheduler({ engine, lane, definitions, fired }: SchedulerOptions): Scheduler {
  const { clock, events, codec } = engine;
  const crontabs = new Map<string, Crontab>();
  const written = new Set<string>();
  const complaints = new Map<string, number>();
  let names: readonly string[] = [];
  let registering: Promise<void> = Promise.resolve();
  let running: Promise<void> | undefined;
  let alarm: { at: number; off: () => void } | undefined;
  let stopped = true;

  const crontabOf = ({ crontab, timezone }: ScheduleTimes): Crontab => {
    const key = `${timezone} ${crontab}`;
    let parsed = crontabs.get(key);
    if (parsed === undefined) crontabs.set(key, (parsed = parseCrontab(crontab, timezone)));
    return parsed;
  };

  /** What is tried twice a second is said once a minute. */
  const complain = (text: string, error: unknown): void => {
    const now = performance.now();
    if (now - (complaints.get(text) ?? Number.NEGATIVE_INFINITY) < 60_000) return;
    complaints.set(text, now);
    events.emit('remark', { level: 'error', text, error });
  };

  const unwritten = (): ScheduleDefinition[] =>
    [...definitions.values()].filter(({ name }) => !written.has(name));

  /** All of these, or none. */
  const write = async (fresh: readonly ScheduleDefinition[]): Promise<void> => {
    if (fresh.length === 0) return;
    const now = new Date(clock.now());
    const unknown = await registerSchedules(lane, {
      executor: engine.executor,
      lockClass: schemaClass(engine.database.schema),
      alone: engine.database.embedded,
      schedules: fresh.map((definition) => ({
        definition,
        next: crontabOf(definition).next(now)?.getTime() ?? null,
      })),
    });
    if (unknown !== undefined) throw new UnknownQueueError(unknown);
    for (const { name } of fresh) written.add(name);
    names = [...written];
    run();
  };

  /** One whose queue does not exist holds up no other. */
  const writeEach = async (fresh: readonly ScheduleDefinition[]): Promise<void> => {
    try {
      await write(fresh);
    } catch (error) {
      if (error instanceof UnknownQueueError)
        await writeEach(fresh.filter(({ queueName }) => queueName !== error.queueName));
      throw error;
    }
  };

  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const done = registering.then(work);
    registering = done.catch(() => {});
    return done;
  };
  const register = (): Promise<void> => inTurn(() => writeEach(unwritten()));

  /** What is due of a schedule, up to `most` ticks. */
  const plan = (schedule: DueSchedule, now: number, most: number): Plan => {
    const { name, revision, mode, nextAt } = schedule;
    const crontab = crontabOf(schedule);
    const skips = mode === 'skip-missed' && nextAt < now - LATE_MS;
    let tick = skips ? crontab.next(new Date(now - LATE_MS - 1)) : new Date(nextAt);
    const runs = [];
    let last: number | null = null;
    const startedAt = new Date(Math.floor(now));
    while (tick !== null && tick.getTime() <= now && runs.length < most) {
      last = tick.getTime();
      runs.push({
        workflowID: scheduledWorkflowID(name, tick.toISOString()),
        input: codec.encode([tick, startedAt]),
      });
      tick = crontab.next(tick);
    }
    return {
      ...{ schedule, name, revision, runs, last },
      next: tick?.getTime() ?? null,
      skipped: skips ? nextAt : undefined,
    };
  };

  const planAll = (due: readonly DueSchedule[], now: number): Plan[] => {
    const plans: Plan[] = [];
    let left = MOST_RUNS;
    for (const schedule of due) {
      if (left <= 0) break;
      try {
        const planned = plan(schedule, now, left);
        plans.push(planned);
        left -= planned.runs.length;
      } catch (error) {
        // Another version of Pawl has written it, and fires it.
        complain(`Schedule "${schedule.name}" cannot be fired by this process`, error);
      }
    }
    return plans;
  };

  const tell = ({ schedule, runs, skipped, next }: Plan): void => {
    if (skipped !== undefined)
      events.emit('remark', {
        level: 'warn',
        text: `Schedule "${schedule.name}" skipped its ticks since ${new Date(skipped).toISOString()}: no process fired them within ${LATE_MS / 1000} seconds`,
        details: { schedule: schedule.name, nextAt: next === null ? null : new Date(next) },
      });
    if (!events.has('workflow.started')) return;
    for (const { workflowID } of runs)
      events.emit('workflow.started', {
        ...{ workflowID, workflowName: schedule.workflowName },
        ...{ parent: undefined, here: false, outcome: 'started' },
      });
  };

  /** One that cannot be fired must not hold up the others. */
  const fire = async (plans: readonly Plan[]): Promise<Set<string>> => {
    try {
      return await fireSchedules(lane, plans);
    } catch (error) {
      if (plans.length === 1 || classifyFault(error) !== 'refused') throw error;
    }
    const done = new Set<string>();
    for (const planned of plans) {
      const [name] = await fireSchedules(lane, [planned]).catch((error: unknown) => {
        complain(`Schedule "${planned.name}" could not be fired; each tick tries again`, error);
        return [];
      });
      if (name !== undefined) done.add(name);
    }
    return done;
  };

  const fireAll = async (): Promise<void> => {
    while (!stopped) {
      const { due, next, now } = await dueSchedules(lane, names);
      if (stopped) return;
      if (due.length === 0) {
        setAlarm(next);
        return;
      }
      const plans = planAll(due, now);
      const done = plans.length === 0 ? new Set() : await fire(plans);
      // Others are at it; the next tick says what is left.
      if (done.size === 0) return;
      for (const planned of plans) if (done.has(planned.name)) tell(planned);
      fired({ queued: plans.some(({ schedule }) => schedule.queued) });
    }
  };

  const run = (): void => {
    if (stopped || names.length === 0) return;
    running ??= fireAll()
      .catch((error: unknown) => complain('Schedules could not be fired; each tick tries again', error))
      .finally(() => {
        running = undefined;
      });
  };

  const setAlarm = (at: number | undefined): void => {
    if (alarm?.at === at) return;
    alarm?.off();
    alarm = undefined;
    if (at === undefined || stopped) return;
    const off = clock.alarm(at, () => {
      alarm = undefined;
      run();
    });
    alarm = { at, off };
  };

  return {
    get names() {
      return names;
    },
    register,
    start: async () => {
      stopped = false;
      await inTurn(() => write(unwritten()));
    },
    due: (at) => {
      if (definitions.size > written.size)
        register().catch((error: unknown) =>
          complain('A schedule could not be registered; each tick tries again', error),
        );
      // Never later: what it reports may be older than what is known here.
      if (at !== undefined && (alarm === undefined || at < alarm.at)) setAlarm(at);
    },
    stop: async () => {
      stopped = true;
      alarm?.off();
      alarm = undefined;
      await Promise.all([running, registering]);
    },
  };
}
