// The class Pawl: one instance per app, a list of delegations.

import { randomUUID } from 'node:crypto';
import {
  createCodec,
  type Duration,
  type ErrorClass,
  checkWorkflowID,
  secondsToMilliseconds,
} from '../codec/index.ts';
import { createRegistry } from '../engine/registry.ts';
import { ConfigurationError } from '../errors/index.ts';
import { createEmitter } from '../telemetry/events.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type PawlConfig, resolveConfig, type ResolvedConfig } from './config.ts';
import { PawlCore } from './core.ts';
import { setInternals } from './internals.ts';
import { BackgroundVerbs } from './background-verbs.ts';
import { explainLaunch } from './launch-error.ts';
import { startRuntime } from './runtime.ts';
import * as streams from './streams.ts';
import type { ReadStreamOptions } from './streams.ts';
import * as surroundings from './surroundings.ts';
import type { EventKey, Topic } from './topics.ts';
import * as verbs from './verbs.ts';
import * as workflows from './workflows.ts';
import { storeQueues } from './queues.ts';
import type { RegisterOptions, StartParams, Workflow, WorkflowStart } from './workflows.ts';
import { createHandle, waitFirst, type WorkflowHandle } from './handles.ts';
import type { Hook } from '../engine/hooks.ts';
import type { StepContext } from '../engine/step-context.ts';
import type { StepOptions } from '../engine/steps.ts';
import type { SqlClient, TransactionStepOptions } from '../engine/transactions.ts';
import type { InputOf, OutputOf, SchemaOf } from './schema-types.ts';

const DEFAULT_GRACE_SECONDS = 10;

/**
 * Durable workflows on a Postgres database. One instance per app; several in one process never see each other.
 *
 * @example
 * const pawl = new Pawl({ database: process.env.DATABASE_URL });
 * const greet = pawl.registerWorkflow(async function greet(name: string) {
 *   const greeting = await pawl.runStep(() => fetchGreeting(), { name: 'fetchGreeting' });
 *   await pawl.sleep('1h');
 *   return `${greeting}, ${name}`;
 * });
 * await pawl.launch();
 * await greet('Ada');
 */
export class Pawl extends BackgroundVerbs {
  readonly #core: PawlCore;
  readonly #config: PawlConfig;
  #resolved: ResolvedConfig | undefined;
  #launching: Promise<unknown> | undefined;
  #stopping: Promise<void> | undefined;

  /** Connects to nothing. */
  constructor(config: PawlConfig = {}) {
    const core = new PawlCore(
      createCodec({ serializer: config.serializer }),
      createRegistry(),
      createEmitter(),
    );
    super(core);
    this.#core = core;
    this.#config = { ...config, executorID: config.executorID ?? randomUUID() };
    setInternals(this, this.#core);
  }

  /**
   * Migrates, starts the executor, goes on with what this or other processes left. After `shutdown` it may be
   * called again.
   * @throws ConfigurationError if called twice, with settings that cannot be, or if the database refuses the login or
   *   the role lacks a privilege
   * @throws DatabaseUnavailableError if the database does not answer, or has not enough connections left
   */
  async launch(overrides: Partial<PawlConfig> = {}): Promise<this> {
    const core = this.#core;
    if (core.state !== 'idle') {
      throw new ConfigurationError(
        `launch() was called while this Pawl is ${core.state}. Launch it once, and again only after shutdown().`,
      );
    }
    const config = resolveConfig({ ...this.#config, ...overrides });
    core.state = 'launching';
    try {
      this.#resolved = config;
      core.registry.freeze(config.applicationVersion);
      const { codec, registry, storage, events, schedules } = core;
      const starting = startRuntime({ config, codec, registry, storage, events, schedules });
      this.#launching = starting.catch(() => {});
      core.runtime = await starting;
      core.state = 'ready';
      await storeQueues(core);
      await core.runtime.begin();
    } catch (error) {
      if (core.state === 'ready') await this.#stop(0);
      core.state = 'idle';
      throw explainLaunch(error, config.schema);
    }
    return this;
  }

  /** Stops claiming, lets running steps finish within the grace period, hands everything else to the peers. */
  async shutdown(options: { graceSeconds?: number } = {}): Promise<void> {
    const core = this.#core;
    const grace = secondsToMilliseconds(options.graceSeconds ?? DEFAULT_GRACE_SECONDS, 'graceSeconds');
    if (core.state === 'launching') await this.#launching;
    if (core.state === 'ready') this.#stopping = this.#stop(grace);
    await this.#stopping;
  }

  async #stop(graceMs: number): Promise<void> {
    const core = this.#core;
    core.state = 'stopping';
    try {
      await core.runtime?.stop(graceMs);
    } finally {
      core.runtime = undefined;
      core.state = 'idle';
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  get state(): 'idle' | 'launching' | 'ready' | 'stopping' {
    return this.#core.state;
  }

  get executorID(): string {
    return (this.#resolved ??= resolveConfig(this.#config)).executorID;
  }

  /** The configured one; '' where each workflow has the hash of its own source. */
  get applicationVersion(): string {
    return (this.#resolved ??= resolveConfig(this.#config)).applicationVersion ?? '';
  }

  /**
   * The configured logger. What it logs in a workflow carries `workflowID`, in a step `stepID` too, and with OpenTelemetry
   * `trace_id` and `span_id`.
   */
  get logger(): Logger {
    return this.#core.stamped((this.#resolved ??= resolveConfig(this.#config)).logger);
  }

  /** Errors of this class come back as its instances, here and in every process that registers it. */
  registerError(errorClass: ErrorClass, name?: string): void {
    this.#core.codec.registerError(errorClass, name);
  }

  /**
   * Makes a function a workflow. It must be deterministic: everything that may come out differently the next time
   * (I/O, clocks, random numbers) belongs into steps.
   * @throws ConfigurationError for a name that is empty or taken
   */
  registerWorkflow<S extends SchemaOf<unknown, unknown>, R>(
    fn: (input: OutputOf<S>) => Promise<R>,
    options: RegisterOptions & { input: S },
  ): Workflow<[input: InputOf<S>], R>;
  registerWorkflow<A extends unknown[], R>(
    fn: (...args: A) => Promise<R>,
    options?: RegisterOptions,
  ): Workflow<A, R>;
  registerWorkflow<A extends unknown[], R>(
    fn: (...args: A) => Promise<R>,
    options?: RegisterOptions,
  ): Workflow<A, R> {
    const workflow = workflows.registerWorkflow(this.#core, fn, options);
    setInternals(workflow, this.#core);
    return workflow;
  }

  /**
   * Starts a workflow; resolves once the start is durable.
   * @throws WorkflowConflictError if the id belongs to another workflow
   * @throws WorkflowIDInUseError as the duplicate policy says
   * @throws SerializationError, ValidationError for an argument that cannot be stored or is not valid; nothing is written
   * @example
   * const handle = await pawl.startWorkflow(checkout, { workflowID: `order-${id}` })(order);
   */
  startWorkflow<R = unknown>(
    workflow: string,
    params?: StartParams,
  ): (...args: unknown[]) => Promise<WorkflowHandle<R>>;
  startWorkflow<A extends unknown[], R>(
    workflow: Workflow<A, R>,
    params?: StartParams,
  ): (...args: A) => Promise<WorkflowHandle<R>>;
  startWorkflow<R>(
    workflow: { workflowName: string } | string,
    params: StartParams = {},
  ): (...args: unknown[]) => Promise<WorkflowHandle<R>> {
    return (...args) =>
      this.#core.observed(workflows.startWorkflow<unknown[], R>(this.#core, workflow, params, args));
  }

  /**
   * Starts many at once, in one transaction: all of them or, where one cannot be started, none. Any process that serves
   * them begins them. In a workflow they are its children, one step each.
   * @throws the errors of `startWorkflow`, for the first that cannot be started
   * @example
   * await pawl.startWorkflows(images.map((id) => ({ workflow: resize, args: [id], queueName: 'images' })));
   */
  startWorkflows(starts: readonly WorkflowStart[]): Promise<WorkflowHandle<unknown>[]> {
    return this.#core.observed(workflows.startWorkflows(this.#core, starts));
  }

  /** A handle for an id, whether or not somebody started it yet. */
  retrieveWorkflow<R = unknown>(workflowID: string): WorkflowHandle<R> {
    return createHandle<R>(this.#core, checkWorkflowID(workflowID));
  }

  /** The first of these to end, well or not. Deterministic inside a workflow. */
  waitFirst<R>(handles: readonly WorkflowHandle<R>[]): Promise<WorkflowHandle<R>> {
    return this.#core.observed(waitFirst(handles));
  }

  /** All results; rejects with the first error. Deterministic inside a workflow. */
  waitAll<R>(handles: readonly WorkflowHandle<R>[]): Promise<R[]> {
    return this.#core.observed(Promise.all(handles.map((handle) => handle.getResult())));
  }

  /** The first workflow started in `fn` takes this id; a `send` outside a workflow takes it as its idempotency key. */
  withNextWorkflowID<T>(id: string, fn: () => Promise<T>): Promise<T> {
    return surroundings.withNextWorkflowID(this.#core, id, fn);
  }

  /** Workflows started in `fn` have this timeout; null: none. */
  withWorkflowTimeout<T>(timeout: Duration | null, fn: () => Promise<T>): Promise<T> {
    return surroundings.withWorkflowTimeout(this.#core, timeout, fn);
  }

  /** Stored with the workflows started in `fn`, and inherited by their children. */
  withAuth<T>(auth: { user?: string; roles?: string[] }, fn: () => Promise<T>): Promise<T> {
    return surroundings.withAuth(this.#core, auth, fn);
  }

  /** Runs a function as a step: recorded once it returned or threw, never run again after that. */
  runStep<R>(fn: (step: StepContext) => Promise<R> | R, options?: StepOptions): Promise<R> {
    return this.#core.observed(verbs.runStep(this.#core, fn, options));
  }

  /** A function that runs as a step wherever it is called in a workflow, and plainly elsewhere. */
  registerStep<A extends unknown[], R>(
    fn: (...args: A) => Promise<R> | R,
    options?: StepOptions,
  ): (...args: A) => Promise<R> {
    return verbs.registerStep(this.#core, fn, options);
  }

  /** Runs SQL in one database transaction, with its checkpoint: it commits exactly once. */
  runTransaction<R>(fn: (tx: SqlClient) => Promise<R>, options?: TransactionStepOptions): Promise<R> {
    return this.#core.observed(verbs.runTransaction(this.#core, fn, options));
  }

  registerTransaction<A extends unknown[], R>(
    fn: (tx: SqlClient, ...args: A) => Promise<R>,
    options?: TransactionStepOptions,
  ): (...args: A) => Promise<R> {
    return verbs.registerTransaction(this.#core, fn, options);
  }

  /** Sleeps durably: over restarts, for months if need be, without memory while it is long. */
  sleep(duration: Duration): Promise<void> {
    return this.#core.observed(verbs.sleep(this.#core, duration));
  }

  sleepUntil(date: Date): Promise<void> {
    return this.#core.observed(verbs.sleepUntil(this.#core, date));
  }

  /** Publishes a value under a key of the running workflow. The last value wins; with `once` a second one is an error. */
  setEvent<T>(key: string | EventKey<T>, value: T, options?: { once?: boolean }): Promise<void> {
    return this.#core.observed(verbs.setEvent(this.#core, key, value, options));
  }

  /** The value of an event; waits for it. null after `timeoutSeconds` (default 60; Infinity: for ever). */
  getEvent<T>(workflowID: string, key: string | EventKey<T>, timeoutSeconds?: number): Promise<T | null> {
    return this.#core.observed(verbs.getEvent(this.#core, workflowID, key, timeoutSeconds));
  }

  /**
   * Sends a message to a workflow; durable when it resolves.
   * @throws NonExistentWorkflowError unless `onMissing: 'park'`
   */
  send<T>(
    destinationID: string,
    message: T,
    topic?: string | Topic<T>,
    options?: verbs.SendOptions,
  ): Promise<void> {
    return this.#core.observed(verbs.send(this.#core, destinationID, message, topic, options));
  }

  /** The next message to the running workflow, first in, first out per topic. null after `timeoutSeconds` (default 60). */
  recv<T>(topic?: string | Topic<T>, timeoutSeconds?: number): Promise<T | null> {
    return this.#core.observed(verbs.recv(this.#core, topic, timeoutSeconds));
  }

  /**
   * Appends a value to a stream of the running workflow, exactly once: see `readStream`.
   * @throws StreamClosedError after `closeStream(key)`
   */
  writeStream<T>(key: string, value: T): Promise<void> {
    return this.#core.observed(streams.writeStream(this.#core, key, value));
  }

  /** Ends a stream of the running workflow: its readers end. A stream that is never closed ends with the workflow. */
  closeStream(key: string): Promise<void> {
    return this.#core.observed(streams.closeStream(this.#core, key));
  }

  /**
   * The values of a workflow's stream, in order, from `offset` on: what is there, then what comes. Ends when the stream is
   * closed or its workflow has ended, however. An id that nobody started yet is waited for. Inside a workflow each batch
   * is recorded.
   * @throws ValidationError for an id, key or offset that cannot be
   * @throws NonExistentWorkflowError (the iteration) if the workflow is deleted meanwhile
   * @throws NotLaunchedError (the iteration) when this Pawl shuts down
   * @example
   * for await (const token of pawl.readStream<string>(chatID, 'tokens', { offset: 12 })) process.stdout.write(token);
   */
  readStream<T>(workflowID: string, key: string, options?: ReadStreamOptions): AsyncIterable<T> {
    return streams.readStream<T>(this.#core, workflowID, key, options);
  }

  /**
   * Makes a URL by which whoever has it can answer this workflow, once: see `Hook`. Served by `http.hooks()`.
   */
  createHook(topic: string | Topic<unknown>, options?: verbs.HookOptions): Promise<Hook> {
    return this.#core.observed(verbs.createHook(this.#core, topic, options));
  }

  /** The time, recorded. */
  now(): Promise<Date> {
    return this.#core.observed(verbs.now(this.#core));
  }

  /** A random UUID, recorded. */
  randomUUID(): Promise<string> {
    return this.#core.observed(verbs.randomUUID(this.#core));
  }

  /**
   * Guards a change of a workflow's code: true in runs that began after it, false in those that were past this point
   * before. A run gets one answer per name. Ask before branches part, not at the head of one of several.
   * @example
   * if (await pawl.patch('invoice by mail')) await mailInvoice(order);
   * else await faxInvoice(order);
   */
  patch(name: string): Promise<boolean> {
    return this.#core.observed(verbs.patch(this.#core, name));
  }

  /** Stands in the place of `patch()` when no run goes the old way any more; remove it when no run has the marker. */
  deprecatePatch(name: string): Promise<void> {
    return this.#core.observed(verbs.deprecatePatch(this.#core, name));
  }

  /** The workflow that runs the calling code, if one does. */
  get workflowID(): string | undefined {
    return this.#core.scope().activation?.workflowID;
  }

  /** The step that runs the calling code, or the one called last. */
  get stepID(): number | undefined {
    const { activation, step } = this.#core.scope();
    if (step !== undefined) return step.stepID;
    return activation !== undefined && activation.lastStepID >= 0 ? activation.lastStepID : undefined;
  }

  /** Aborted when the workflow is cancelled, or not run by this process any more. */
  get signal(): AbortSignal | undefined {
    const { activation, step } = this.#core.scope();
    return step !== undefined && step.stepID >= 0 ? step.signal : activation?.signal;
  }
}
