// WHEN: the incarnation of this process. Registers, renews its lease, holds its lock, asks the database twice a
// second what there is to do, and takes over what dead ones left behind.
//
//   idle ─► registered ─► (ticks) ─► stopping ─► retired
//               ▲             │ lost: declared gone by a peer, or its lease ran out unrenewed
//               └─────────────┘ everything in memory is dropped; a new number

import { hostname } from 'node:os';
import type { Engine } from '../engine/engine.ts';
import { waitKeys } from '../engine/waits.ts';
import { WorkflowTimeoutError } from '../errors/index.ts';
import type { Lane, Queryable } from '../store/database.ts';
import {
  disown,
  forgetGoneExecutors,
  nextExecutorNumber,
  registerExecutor,
  release,
  takeSessionLock,
  tick,
  type TickResult,
} from '../store/executors.ts';
import { classifyFault } from '../store/faults.ts';
import { cancelNoticed } from '../store/lifecycle.ts';
import type { Aftermath } from '../store/operations.ts';
import { schemaClass } from '../store/schema-name.ts';
import { atMost } from './at-most.ts';
import type { Claimer } from './claimer.ts';
import { handOver } from './hand-over.ts';
import type { Hints } from './hints.ts';
import { reviewStranded } from './stranded.ts';
import type { Sweeper } from './sweeper.ts';
import type { Scheduler } from './scheduler.ts';
import { createTakeover } from './takeover.ts';
import { createNextDue } from './next-due.ts';
import { createWaker } from './waker.ts';
import type { Watcher } from './watcher.ts';

export interface ExecutorOptions {
  engine: Engine;
  lane: Lane;
  hints: Hints;
  claimer: Claimer;
  watcher: Watcher;
  sweeper: Sweeper;
  scheduler: Scheduler;
  executorID: string;
  applicationVersion: string | undefined;
  anyVersion: boolean;
  leaseMs: number;
  /** A client: listens and looks for what its callers wait for; runs, claims and takes over nothing. */
  observer: boolean;
}

export interface Executor {
  /** Registers; nothing runs yet. */
  start(): Promise<void>;
  /** Goes on with what others left, and ticks. */
  begin(): Promise<void>;
  stop(graceMs: number): Promise<void>;
  /** Asks the database soon instead of at the next tick. */
  poke(): void;
  /** One tick now; resolves when it is through. */
  tickNow(): Promise<void>;
  onAftermath(aftermath: Aftermath): void;
  /** Something becomes due then, by the database's clock. */
  delayed(at: number): void;
  onHint(workflowID: string): void;
  /** `fence` of the run that was cancelled: word of it may come late, when a resume has begun the next one. */
  onCancelled(workflowID: string, fence: number): void;
  /** A call that moves ownership failed, and may have taken effect. `soon`: most likely it has, or never will. */
  doubt(options?: { soon: true }): void;
}

const TICK_MS = 500;
/** Whatever was under way on a connection that broke is through, or rolled back, after so long. */
const AFTERMATH_MS = 6000;

export function createExecutor(options: ExecutorOptions): Executor {
  const { engine, lane, hints, claimer, watcher, sweeper, scheduler } = options;
  const lockClass = schemaClass(engine.database.schema);
  const alone = engine.database.embedded;
  const timeoutError = engine.codec.encodeError(new WorkflowTimeoutError('?'));
  const takeover = createTakeover({
    engine,
    lane,
    hints,
    claimer,
    lockClass,
    alone,
    lookAgain: () => poke(),
  });
  const nextDue = createNextDue(engine.clock, () => {
    if (options.observer) hints.queued();
    else claimer.requestQueued();
  });
  const waker = createWaker({
    lane,
    onDue: () => {
      claimer.request();
      hints.ready();
    },
    onWoken: (executor, workflowID) => {
      if (executor === engine.executor) onHint(workflowID);
      else hints.tell(executor, workflowID);
    },
  });
  let armed = 0;
  let locked = false;
  let renewedAt = 0;
  let mustRenew = false;
  let timer: NodeJS.Timeout | undefined;
  let ticking: Promise<void> | undefined;
  let stopped = true;
  /** What our row says that we serve. */
  let announced = engine.registry.served();
  /** Something of ours may be owned without being known here. */
  let disownAt = Number.POSITIVE_INFINITY;
  let doubtedAt = Number.NEGATIVE_INFINITY;

  const incarnate = async (): Promise<void> => {
    const number = await nextExecutorNumber(engine.database);
    if (options.observer) {
      await hints.open(
        number,
        async () => {},
        () => {},
      );
      engine.executor = number;
      return;
    }
    armed = 0;
    await hints.open(
      number,
      (connection) => takeLock(connection, number),
      () => {
        locked = false;
        mustRenew = true;
      },
    );
    const asked = performance.now();
    const clock = await registerExecutor(engine.database, number, locked, {
      executorID: options.executorID,
      applicationVersion: options.applicationVersion ?? null,
      host: hostname(),
      pid: process.pid,
      leaseMs: options.leaseMs,
      served: (announced = engine.registry.served()),
      anyVersion: options.anyVersion,
    });
    // Before anything runs: this machine's clock may be wrong by hours.
    engine.clock.learn(clock, performance.now() - asked);
    await forgetGoneExecutors(engine.database);
    // What was started under the old number meanwhile is handed back with the rest.
    dropAll();
    engine.executor = number;
    renewed(asked);
    mustRenew = false;
  };

  const dropAll = (): void => {
    for (const activation of [...engine.activations.values()]) engine.gone(activation, 'superseded');
  };

  /** `at`: when it was asked for, which is before the database counts from. */
  const renewed = (at: number): void => {
    renewedAt = at;
    if (!alone) engine.lease.extend(at + options.leaseMs);
  };

  /** On every new listening connection: the session lock says that we live. */
  const takeLock = async (connection: Queryable, number: number): Promise<void> => {
    if (alone) return;
    locked = await takeSessionLock(connection, lockClass, number);
    armed++;
    mustRenew = true;
  };

  const runTick = async (): Promise<void> => {
    if (options.observer) {
      await watcher.poll();
      return;
    }
    if (!locked && !alone && hints.connection !== undefined)
      await takeLock(hints.connection, engine.executor);
    const served = engine.registry.served();
    const now = performance.now();
    const renew = mustRenew || now - renewedAt >= options.leaseMs / 3;
    if (renew) mustRenew = false;
    let result: TickResult;
    try {
      result = await tick(lane, {
        executor: engine.executor,
        lockClass,
        leaseMs: options.leaseMs,
        renew,
        armed,
        locked,
        alone,
        awaited: engine.waits.awaited(),
        timeoutError,
        served: served === announced ? undefined : served,
        schedules: scheduler.names,
      });
    } catch (error) {
      mustRenew = true;
      if (classifyFault(error) === 'connection') takeover.judgeNobodyFor(options.leaseMs);
      doubt();
      throw error;
    }
    if (stopped) return;
    announced = served;
    if (result.lost) {
      await startOver();
      return;
    }
    if (renew) renewed(now);
    const tookMs = performance.now() - now;
    if (result.clock !== undefined && engine.clock.learn(result.clock, tookMs) > options.leaseMs / 3) {
      // The clock was put forward, and with it the end of our lease came nearer.
      mustRenew = true;
      poke();
    }
    // Before this tick asks for claims: while one is under way nobody knows what it got, and what is missing may hold
    // the very slots that they wait for.
    if (performance.now() >= disownAt && result.clock !== undefined) await disownUnknown(result.clock);
    if (result.ready) claimer.request();
    if (result.queued) claimer.requestQueued();
    if (result.nextDue !== undefined) nextDue.set(result.nextDue);
    claimer.others(result.others);
    if (result.fired) waker.request();
    for (const { workflowID, topic } of result.messages)
      engine.waits.poke(waitKeys.message(workflowID, topic));
    for (const id of result.results) engine.waits.poke(waitKeys.result(id));
    for (const { workflowID, key } of result.events) engine.waits.poke(waitKeys.event(workflowID, key));
    tellCancelled(result.cancelled);
    sweeper.due(result.upkeep);
    scheduler.due(result.nextSchedule);
    await takeover.judge(result.suspects);
    await reviewStranded({ engine, lane, hints, claimer }, result);
    await watcher.poll();
  };

  /** A call that moves ownership failed, and may have taken effect. */
  const doubt = (options?: { soon: true }): void => {
    doubtedAt = performance.now();
    disownAt = Math.min(disownAt, doubtedAt + (options?.soon ? 0 : AFTERMATH_MS));
  };

  /** `before`: the clock of a tick that is just through. */
  const disownUnknown = async (before: number): Promise<void> => {
    // What a doubt is about may commit only now: it is looked for once more.
    const next = doubtedAt + AFTERMATH_MS;
    disownAt = next > performance.now() ? next : Number.POSITIVE_INFINITY;
    if (claimer.busy) {
      doubt({ soon: true });
      return;
    }
    const known = [...engine.activations.keys(), ...engine.journal.starting()];
    try {
      if ((await disown(lane, engine.executor, known, before)) > 0) claimer.request();
    } catch (error) {
      doubt();
      throw error;
    }
  };

  const tellCancelled = (cancelled: TickResult['cancelled']): void => {
    const mine: string[] = [];
    for (const { workflowID, executor, fence } of cancelled) {
      if (executor === engine.executor) {
        mine.push(workflowID);
        onCancelled(workflowID, fence);
      } else if (executor !== null) hints.tellCancelled(executor, workflowID, fence);
    }
    if (cancelled.length > 0) waker.request();
    if (mine.length > 0) cancelNoticed(lane, engine.executor, mine).catch(() => {});
  };

  /** Declared gone by a peer: nothing here may be believed any more. */
  const startOver = async (): Promise<void> => {
    const old = engine.executor;
    engine.events.emit('executor.lost', { executor: old });
    dropAll();
    await hints.close();
    locked = false;
    // Should the new number not come through, the next tick finds out again that the old one is lost.
    mustRenew = true;
    await incarnate();
    while ((await release(lane, old, false)) > 0);
    claimer.request();
  };

  const pokeActivation = (workflowID: string): void => {
    const activation = engine.activations.get(workflowID);
    if (activation !== undefined) for (const wait of [...activation.waits]) wait.poke();
  };

  const onHint = (workflowID: string): void => {
    pokeActivation(workflowID);
    watcher.poke(workflowID);
  };

  const onCancelled = (workflowID: string, fence: number): void => {
    const activation = engine.activations.get(workflowID);
    if (activation?.fence === fence) engine.cancelled(activation);
    watcher.poke(workflowID);
  };

  const tickNow = (): Promise<void> => {
    if (ticking !== undefined) return ticking.then(() => (stopped ? undefined : tickNow()));
    clearTimeout(timer);
    ticking = runTick()
      .catch((error: unknown) =>
        engine.events.emit('remark', {
          level: 'warn',
          text: 'A tick failed; the next one tries again',
          error,
        }),
      )
      .finally(() => {
        ticking = undefined;
        if (!stopped) timer = setTimeout(() => void tickNow(), TICK_MS);
      });
    return ticking;
  };

  let poked = false;
  const poke = (): void => {
    if (poked || stopped) return;
    poked = true;
    setImmediate(() => {
      poked = false;
      if (!stopped) void tickNow();
    });
  };

  return {
    poke,
    tickNow,
    doubt,
    delayed: (at) => nextDue.set(at),
    onHint,
    onCancelled,
    start: async () => {
      await incarnate();
      stopped = false;
    },
    begin: async () => {
      if (!options.observer) {
        claimer.start();
        await scheduler.start();
      }
      claimer.request({ includeBlocked: true });
      await tickNow();
    },
    stop: async (graceMs) => {
      if (stopped) return;
      engine.draining = true;
      // A database that is away or silent must not hold up the end: what is not written by then is done by who takes over.
      await atMost(Promise.all([claimer.stop(), sweeper.stop(), scheduler.stop()]), HAND_OVER_MS);
      await engine.quiesce(graceMs);
      const end = performance.now() + HAND_OVER_MS;
      await atMost(engine.journal.drained(), HAND_OVER_MS);
      stopped = true;
      clearTimeout(timer);
      nextDue.stop();
      await atMost(Promise.all([ticking, waker.stop()]), end - performance.now());
      for (const activation of [...engine.activations.values()]) engine.gone(activation, 'handed over');
      engine.journal.close();
      if (options.observer) {
        await hints.close();
        return;
      }
      try {
        const ms = Math.max(LEAST_HAND_OVER_MS, end - performance.now());
        await atMost(handOver(lane, engine.executor), ms, 'The database does not answer.');
        hints.ready();
      } catch (error) {
        const text = 'Could not hand over before the end; peers will take over instead';
        engine.events.emit('remark', { level: 'warn', text, error });
      }
      await hints.close();
    },
    onAftermath: (aftermath) => {
      if (aftermath.fired) waker.request();
      if (aftermath.ready) {
        claimer.request();
        hints.ready();
      }
      for (const { executor, workflowID } of aftermath.hints) hints.tell(executor, workflowID);
    },
  };
}

const HAND_OVER_MS = 5000;
const LEAST_HAND_OVER_MS = 1000;
