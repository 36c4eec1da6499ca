// What the verbs share: the registry and codec that live as long as the Pawl, and the runtime of its launch.

import { setTimeout as pause } from 'node:timers/promises';
import type { Codec } from '../codec/index.ts';
import type { Activation } from '../engine/activation.ts';
import type { Registry } from '../engine/registry.ts';
import { OUTSIDE, type Scope } from '../engine/scope.ts';
import { ScopeStorage } from '../engine/scope-storage.ts';
import { runStep } from '../engine/steps.ts';
import {
  DatabaseUnavailableError,
  InStepError,
  NotInWorkflowError,
  NotLaunchedError,
} from '../errors/index.ts';
import type { QueueDefinition } from '../store/queues.ts';
import type { ScheduleDefinition } from '../store/schedules.ts';
import type { Emitter } from '../telemetry/events.ts';
import { type Logger, stampingLogger } from '../telemetry/logger.ts';
import type { Runtime } from './runtime.ts';

export class PawlCore {
  readonly storage = new ScopeStorage();
  readonly codec: Codec;
  readonly registry: Registry;
  readonly events: Emitter;
  /** What is registered to be started by the clock, by name. */
  readonly schedules = new Map<string, ScheduleDefinition>();
  runtime: Runtime | undefined;
  /** Registered here; the database has the ones that count. */
  readonly queues = new Map<string, QueueDefinition>();
  storingQueues: Promise<void> = Promise.resolve();
  readonly unstoredQueues = new Set<string>();
  /** Where `http.hooks()` is served, without a slash at the end. */
  hooksURL = '/hooks';
  state: 'idle' | 'launching' | 'ready' | 'stopping' = 'idle';
  /** A `PawlClient`: starts and asks, runs nothing. */
  readonly observer: boolean;
  #stamped: { logger: Logger; stamping: Logger } | undefined;

  constructor(codec: Codec, registry: Registry, events: Emitter, observer = false) {
    this.observer = observer;
    this.codec = codec;
    this.registry = registry;
    this.events = events;
  }

  scope(): Scope {
    return this.storage.getStore() ?? OUTSIDE;
  }

  /** The runtime, or the error of a verb that came too early or too late. */
  running(verb: string): Runtime {
    if (this.runtime === undefined || this.state === 'idle' || this.state === 'launching') {
      throw new NotLaunchedError(verb, this.state === 'launching' ? 'launching' : 'idle');
    }
    // Steps that still finish may use what they need; new work from outside is refused.
    if (this.state === 'stopping' && this.scope().activation === undefined)
      throw new NotLaunchedError(verb, 'stopping');
    return this.runtime;
  }

  /**
   * The same for a verb that asks the database on another connection than that of a transaction. Embedded there is no
   * other; elsewhere the transaction may hold locks that the verb waits for.
   */
  outsideTransaction(verb: string): Runtime {
    const { activation, inTransaction } = this.scope();
    if (inTransaction) throw new InStepError(verb, 'transaction', activation?.workflowID);
    return this.running(verb);
  }

  /** The running workflow, for verbs that only exist inside of one and outside of its steps. */
  inWorkflow(verb: string): Activation {
    const { activation, step, inTransaction } = this.scope();
    if (step !== undefined || inTransaction)
      throw new InStepError(verb, inTransaction ? 'transaction' : 'step', activation?.workflowID);
    if (activation === undefined) throw new NotInWorkflowError(verb);
    return activation;
  }

  /**
   * What a verb returns inside a workflow. The body may have begun it and be busy with something else when it
   * rejects, with a cancellation at the latest: a rejection that nobody awaits yet must not end the process.
   */
  observed<T>(promise: Promise<T>): Promise<T> {
    if (this.scope().activation !== undefined) promise.catch(() => {});
    return promise;
  }

  /**
   * A management verb: inside a workflow it is a step, recorded and replayed, and waits for the database where a
   * caller from outside is told that it is away. `repeated`: an earlier try may have taken effect.
   */
  recordedCall<T>(name: string, run: (repeated: boolean) => Promise<T>): Promise<T> {
    const { activation, step } = this.scope();
    if (activation === undefined || step !== undefined) return run(false);
    const { engine } = this.running(name);
    const options = { name, retriesAllowed: false };
    return this.observed(
      runStep(engine, activation, ({ signal }) => untilAnswered(signal, run), options, 'call'),
    );
  }

  /** A logger whose lines say where the calling code is. The same one for the same logger. */
  stamped(logger: Logger): Logger {
    if (this.#stamped?.logger !== logger)
      this.#stamped = { logger, stamping: stampingLogger(logger, () => this.#whereabouts()) };
    return this.#stamped.stamping;
  }

  #whereabouts(): object | undefined {
    const { activation, step } = this.scope();
    const ids = this.runtime?.telemetry.traceIDs();
    if (activation === undefined) return ids;
    const { workflowID } = activation;
    return { workflowID, ...(step === undefined ? {} : { stepID: step.stepID }), ...ids };
  }

  /** A workflow was registered; after launch it takes part from now on. */
  registered(): void {
    if (this.state === 'ready') this.runtime?.claimSoon({ here: true });
  }
}

const MAX_PAUSE_MS = 2000;

async function untilAnswered<T>(signal: AbortSignal, run: (repeated: boolean) => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await run(attempt > 0);
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError) || signal.aborted) throw error;
      const ms = Math.min(MAX_PAUSE_MS, 50 * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random());
      await pause(ms, undefined, { signal });
    }
  }
}
