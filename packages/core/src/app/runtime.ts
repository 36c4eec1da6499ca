// The composition root: one launch, wired. Database, lanes, journal, engine, worker; started and stopped in order.

import type { Codec } from '../codec/index.ts';
import { createEngine, type Engine } from '../engine/engine.ts';
import type { Outcome } from '../engine/outcome.ts';
import type { Registry } from '../engine/registry.ts';
import type { ScopeStorage } from '../engine/scope-storage.ts';
import { NotLaunchedError } from '../errors/index.ts';
import type { Database, Lane } from '../store/database.ts';
import { type Feed, type Page, type Reading, readPages } from '../store/feeds.ts';
import { checkMigrated, migrate } from '../store/migrate.ts';
import { countWaiting } from '../store/reading.ts';
import type { ScheduleDefinition } from '../store/schedules.ts';
import type { Emitter } from '../telemetry/events.ts';
import { subscribeLogger } from '../telemetry/logger.ts';
import { startTelemetry } from '../telemetry/opentelemetry.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createClaimer } from '../worker/claimer.ts';
import { createExecutor, type Executor } from '../worker/executor.ts';
import { createHints, type Hints } from '../worker/hints.ts';
import { createScheduler, type Scheduler } from '../worker/scheduler.ts';
import { createSweeper } from '../worker/sweeper.ts';
import { createWatcher, type Follower } from '../worker/watcher.ts';
import { coalesce } from './coalesce.ts';
import { createDatabase, type ResolvedConfig } from './config.ts';

export interface Runtime {
  readonly database: Database;
  readonly engine: Engine;
  readonly executor: Executor;
  readonly scheduler: Scheduler;
  readonly hints: Hints;
  readonly telemetry: Telemetry;
  /** How a workflow ends, wherever it runs. Rejects when this process stops first. */
  outcome(workflowID: string): Awaiting<Outcome>;
  /** The value of an event, wherever it is set. */
  event(workflowID: string, key: string): Awaiting<string | null>;
  /** Word of every event (key '') or of all that is written to a stream, and of the end, wherever it runs; and when
   *  this process stops. */
  follow(workflowID: string, key: string, news: (stopping?: true) => void): Follower;
  /** What several readers ask for in the meantime goes with one query. */
  readPage(feed: Feed, reading: Reading): Promise<Page>;
  /** How many callers wait for something or follow a workflow. */
  readonly waiting: number;
  /** Something was made claimable, or may be claimed by this process alone. */
  claimSoon(options?: { here: true }): void;
  /** Something may be taken out of a queue, or (milliseconds from now) will be. */
  dispatchSoon(delayMs?: number): void;
  /** Recovery begins; from here on workflows run, so the verbs must work. */
  begin(): Promise<void>;
  stop(graceMs: number): Promise<void>;
}

/** Something that may take for ever; `looked`: it is known whether it was there from the first. */
interface Awaiting<T> {
  promise: Promise<T>;
  looked: Promise<void>;
  abandon: () => void;
}

export interface RuntimeOptions {
  config: ResolvedConfig;
  codec: Codec;
  registry: Registry;
  storage: ScopeStorage;
  events: Emitter;
  /** By name. */
  schedules?: ReadonlyMap<string, ScheduleDefinition>;
  /** For a `PawlClient`. */
  observer?: boolean;
  /** Sees to it that the schema fits. Default: it is migrated, or checked, as the configuration says. */
  prepare?: (database: Database) => Promise<unknown>;
}

interface Listener {
  found: (outcome: Outcome) => void;
  moved: () => void;
}

export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  let runtime: Runtime | undefined;
  const logging = subscribeLogger(options.config.logger, options.events);
  const end = (): void => {
    telemetry.stop();
    for (const stop of logging) stop();
  };
  const telemetry = await startTelemetry(options.events, {
    active: () => runtime?.engine.activations.size ?? 0,
    waiting: async () => runtime && countWaiting(runtime.database),
  });
  try {
    runtime = await telemetry.quietly(() => wire(options, telemetry, end));
    return runtime;
  } catch (error) {
    end();
    throw error;
  }
}

async function wire(options: RuntimeOptions, telemetry: Telemetry, ended: () => void): Promise<Runtime> {
  const { config, events } = options;
  const remark = (level: 'debug' | 'info' | 'warn', text: string, error?: unknown): void =>
    events.emit('remark', { level, text, error });
  const database = createDatabase(config);
  if (events.has('statement')) database.onStatement = (text) => events.emit('statement', { text });
  await database.open();
  try {
    await (options.prepare ?? (config.migrate ? migrate : checkMigrated))(database);
  } catch (error) {
    await database.close();
    throw error;
  }

  const [journal1, journal2, controlLane] = ['journal 1', 'journal 2', 'control'].map((name) =>
    quietLane(database.lane(name), telemetry),
  ) as [Lane, Lane, Lane];
  const journalLanes = [journal1, journal2];
  const listeners = new Map<string, Listener[]>();
  const eventListeners = new Map<string, ((value: string | null) => void)[]>();

  const engine = createEngine({
    ...options,
    ...config,
    database,
    journalLanes,
    controlLane,
    onAftermath: (aftermath) => executor.onAftermath(aftermath),
    onAvailability: (available, error) => {
      if (available) {
        remark('info', 'The database answers again');
        // An answer may have been lost: that of a child's start whose parent was cancelled before it was repeated.
        executor.doubt();
      } else remark('warn', 'The database does not answer; what is to be written waits for it', error);
    },
    onDeadline: () => executor.poke(),
    onDoubt: () => executor.doubt(),
    onFinished: (workflowID, outcome) => {
      for (const listener of take(listeners, workflowID)) listener.found(outcome);
      watcher.ended(workflowID, outcome);
    },
    onGone: (workflowID) => {
      for (const listener of take(listeners, workflowID)) listener.moved();
      watcher.poke(workflowID);
    },
    onEvent: (workflowID, key, value) => {
      for (const found of [...(eventListeners.get(`${workflowID}\0${key}`) ?? [])]) found(value);
      watcher.eventSet(workflowID);
    },
    onQueued: ({ queue, delayMs }) => {
      if (delayMs !== null) dispatchSoon(delayMs);
      else if (queue !== null) dispatchSoon();
      else claimSoon();
    },
    onSlotFreed: () => claimer.slotFreed(),
    onStream: (workflowID, key) => watcher.streamWritten(workflowID, key),
  });
  const claimSoon = (options?: { here: true }): void => {
    claimer.request();
    if (!options?.here) hints.ready();
  };
  const dispatchSoon = (delayMs = 0): void => {
    if (delayMs > 0) executor.delayed(engine.clock.now() + delayMs);
    else if (options.observer) hints.queued();
    else claimer.requestQueued({ fresh: true });
  };
  const isHere = (workflowID: string): boolean => {
    const state = engine.activations.get(workflowID)?.state;
    return state === 'running' || state === 'ended';
  };
  const watcher = createWatcher(
    controlLane,
    () => engine.executor,
    (workflowID) => isHere(workflowID),
    (error) => remark('debug', 'A look for results failed; the next tick looks again', error),
    () => claimer.claimed(),
  );
  const hints = createHints(database, {
    onReady: () => claimer.request(),
    onQueued: () => claimer.requestQueued(),
    onWorkflow: (workflowID) => executor.onHint(workflowID),
    onCancelled: (workflowID, fence) => executor.onCancelled(workflowID, fence),
  });
  const claimer = createClaimer({
    engine,
    lane: controlLane,
    anyVersion: config.versioning === 'patch',
    queues: config.queues,
    onDoubt: (doubt) => executor.doubt(doubt),
    onDue: () => hints.ready(),
    onLeft: () => hints.queued(),
  });
  const scheduler = createScheduler({
    engine,
    lane: controlLane,
    definitions: options.schedules ?? new Map(),
    fired: ({ queued }) => {
      claimer.request();
      if (queued) dispatchSoon();
    },
  });
  const executor: Executor = createExecutor({
    engine,
    lane: controlLane,
    scheduler,
    hints,
    claimer,
    watcher,
    sweeper: createSweeper(database, config.retention, events),
    executorID: config.executorID,
    applicationVersion: config.applicationVersion,
    anyVersion: config.versioning === 'patch',
    leaseMs: config.leaseMs,
    observer: options.observer ?? false,
  });

  const close = async (): Promise<void> => {
    await Promise.all([...journalLanes, controlLane].map((lane) => lane.close()));
    await database.close();
  };
  try {
    // Whether there are connections enough is found out now, and not by the first that is to be written.
    if (!database.embedded && options.observer !== true)
      await Promise.all([...journalLanes, controlLane].map((lane) => lane.call('SELECT', [])));
    await executor.start();
  } catch (error) {
    await hints.close();
    await close();
    throw error;
  }
  if (database.pooled) {
    remark(
      'warn',
      'The database is reached through a transaction pooler: Pawl polls twice a second instead of listening, and takes ' +
        'over from a dead process when its lease is over. For less delay give it a direct connection.',
    );
  }
  const pending = new Set<(error: Error) => void>();
  const pages = { event: pageReader(database, 'event'), stream: pageReader(database, 'stream') };

  return {
    database,
    engine,
    executor,
    scheduler,
    hints,
    telemetry,
    claimSoon,
    dispatchSoon,
    outcome: (workflowID) => {
      let unsubscribe = () => {};
      let looked = Promise.resolve();
      const promise = new Promise<Outcome>((resolve, reject) => {
        const stopped = (error: Error) => reject(error);
        pending.add(stopped);
        const done = () => pending.delete(stopped);
        const found = (outcome: Outcome) => {
          done();
          resolve(outcome);
        };
        const watchElsewhere = () => {
          const subscribed = watcher.subscribe(workflowID, undefined, ({ status, output, error }) =>
            found({ status, output, error }),
          );
          looked = subscribed.looked;
          unsubscribe = () => {
            subscribed.end();
            done();
          };
        };
        if (isHere(workflowID)) {
          const listener: Listener = { found, moved: watchElsewhere };
          add(listeners, workflowID, listener);
          unsubscribe = () => {
            remove(listeners, workflowID, listener);
            done();
          };
        } else watchElsewhere();
      });
      return { promise, looked, abandon: () => unsubscribe() };
    },
    event: (workflowID, key) => {
      let unsubscribe = () => {};
      let looked = Promise.resolve();
      const promise = new Promise<string | null>((resolve, reject) => {
        const stopped = (error: Error) => reject(error);
        pending.add(stopped);
        const name = `${workflowID}\0${key}`;
        const found = (value: string | null) => {
          unsubscribe();
          resolve(value);
        };
        const subscribed = watcher.subscribe(workflowID, key, ({ output }) => found(output));
        looked = subscribed.looked;
        add(eventListeners, name, found);
        unsubscribe = () => {
          subscribed.end();
          remove(eventListeners, name, found);
          pending.delete(stopped);
        };
      });
      return { promise, looked, abandon: () => unsubscribe() };
    },
    follow: (workflowID, key, news) => {
      const follower = watcher.follow(workflowID, key, () => news());
      const stopped = () => news(true);
      pending.add(stopped);
      return {
        arm: follower.arm,
        end: () => {
          follower.end();
          pending.delete(stopped);
        },
      };
    },
    readPage: (feed, reading) => pages[feed](reading),
    get waiting() {
      return pending.size;
    },
    begin: () => telemetry.quietly(() => executor.begin()),
    stop: async (graceMs) => {
      await executor.stop(graceMs);
      for (const stopped of [...pending]) stopped(new NotLaunchedError('getResult', 'stopping'));
      await close();
      ended();
    },
  };
}

/** A read holds at most so many pages. */
const PAGES_PER_READ = 32;

function pageReader(database: Database, feed: Feed): (reading: Reading) => Promise<Page> {
  return coalesce<Reading, Page>((readings) => readPages(database, feed, readings), {
    maxItems: PAGES_PER_READ,
    maxInFlight: 2,
    mayBeOneItem: () => false,
  });
}

/** What it sends is asked for by whoever comes first, on behalf of many. */
function quietLane(lane: Lane, { quietly }: Telemetry): Lane {
  return {
    call: (text, params, wanted) => quietly(() => lane.call(text, params, wanted)),
    close: () => lane.close(),
  };
}

function add<T>(map: Map<string, T[]>, key: string, value: T): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

function remove<T>(map: Map<string, T[]>, key: string, value: T): void {
  const values = map.get(key) ?? [];
  const at = values.indexOf(value);
  if (at >= 0) values.splice(at, 1);
  if (values.length === 0) map.delete(key);
}

function take<T>(map: Map<string, T[]>, key: string): T[] {
  const values = map.get(key);
  map.delete(key);
  return values ?? [];
}
