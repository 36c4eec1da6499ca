// The class PawlClient: starts, messages and management for a process that runs no workflows itself.

import { checkWorkflowID, createCodec, type ErrorClass } from '../codec/index.ts';
import { createRegistry } from '../engine/registry.ts';
import { createEmitter } from '../telemetry/events.ts';
import { type PawlConfig, resolveConfig } from './config.ts';
import { PawlCore } from './core.ts';
import { setInternals } from './internals.ts';
import { ManagementVerbs } from './management-verbs.ts';
import { explainLaunch } from './launch-error.ts';
import { startRuntime } from './runtime.ts';
import { readStream, type ReadStreamOptions } from './streams.ts';
import type { EventKey, Topic } from './topics.ts';
import * as verbs from './verbs.ts';
import * as workflows from './workflows.ts';
import type { StartParams, Workflow, WorkflowStart } from './workflows.ts';
import { createHandle, type WorkflowHandle } from './handles.ts';

export type PawlClientConfig = Pick<
  PawlConfig,
  'database' | 'schema' | 'poolSize' | 'serializer' | 'logger' | 'name'
>;

/**
 * A client of the workflows that other processes run. Connects with its first call, or `connect()`.
 *
 * @example
 * const client = new PawlClient({ database: process.env.DATABASE_URL });
 * const handle = await client.startWorkflow<typeof checkout>('checkout', { workflowID: 'order-1' })(order);
 * await handle.getResult();
 * await client.close();
 */
export class PawlClient extends ManagementVerbs {
  readonly #core: PawlCore;
  readonly #config: PawlClientConfig;
  #connecting: Promise<void> | undefined;

  constructor(config: PawlClientConfig = {}) {
    const core = new PawlCore(
      createCodec({ serializer: config.serializer }),
      createRegistry(),
      createEmitter(),
      true,
    );
    super(core);
    this.#core = core;
    this.#config = config;
    setInternals(this, this.#core);
  }

  /** @throws DatabaseUnavailableError; ConfigurationError if the database refuses login, database or role */
  async connect(): Promise<this> {
    const core = this.#core;
    if (core.state === 'ready') return this;
    this.#connecting ??= (async () => {
      const config = resolveConfig({ ...this.#config, migrate: false });
      const { codec, registry, storage, events } = core;
      core.runtime = await startRuntime({ config, codec, registry, storage, events, observer: true });
      core.state = 'ready';
      await core.runtime.begin();
    })()
      .catch((error: unknown) => {
        throw explainLaunch(error, this.#config.schema ?? 'pawl');
      })
      .finally(() => {
        this.#connecting = undefined;
      });
    await this.#connecting;
    return this;
  }

  async close(): Promise<void> {
    await this.#connecting?.catch(() => {});
    const { runtime } = this.#core;
    this.#core.runtime = undefined;
    this.#core.state = 'idle';
    await runtime?.stop(0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  protected override reach<T>(call: () => Promise<T>): Promise<T> {
    return this.connect().then(call);
  }

  /** Errors of this class come back as its instances. */
  registerError(errorClass: ErrorClass, name?: string): void {
    this.#core.codec.registerError(errorClass, name);
  }

  /** Starts a workflow by name; resolves once the start is durable. A process that has registered it runs it. */
  startWorkflow<W extends Workflow<never[], unknown>>(
    workflow: string,
    params?: StartParams,
  ): (...args: Parameters<W>) => Promise<WorkflowHandle<Awaited<ReturnType<W>>>> {
    return async (...args) => {
      await this.connect();
      return workflows.startWorkflow<unknown[], Awaited<ReturnType<W>>>(
        this.#core,
        workflow,
        params ?? {},
        args,
      );
    };
  }

  /** Starts many at once, in one transaction: all of them or, where one cannot be started, none. */
  async startWorkflows(starts: readonly WorkflowStart[]): Promise<WorkflowHandle<unknown>[]> {
    await this.connect();
    return workflows.startWorkflows(this.#core, starts);
  }

  retrieveWorkflow<R = unknown>(workflowID: string): WorkflowHandle<R> {
    const handle = createHandle<R>(this.#core, checkWorkflowID(workflowID));
    const connected = <T>(call: () => Promise<T>): Promise<T> => this.connect().then(call);
    return {
      workflowID,
      getStatus: () => connected(() => handle.getStatus()),
      getResult: (options) => connected(() => handle.getResult(options)),
      cancel: (options) => connected(() => handle.cancel(options)),
    };
  }

  /** @throws NonExistentWorkflowError unless `onMissing: 'park'` */
  async send<T>(
    destinationID: string,
    message: T,
    topic?: string | Topic<T>,
    options?: verbs.SendOptions,
  ): Promise<void> {
    await this.connect();
    return verbs.send(this.#core, destinationID, message, topic, options);
  }

  /** null after `timeoutSeconds` (default 60; Infinity: for ever). */
  async getEvent<T>(
    workflowID: string,
    key: string | EventKey<T>,
    timeoutSeconds?: number,
  ): Promise<T | null> {
    await this.connect();
    return verbs.getEvent(this.#core, workflowID, key, timeoutSeconds);
  }

  /** The values of a workflow's stream, from `offset` on, until it is closed or the workflow has ended. */
  readStream<T>(workflowID: string, key: string, options?: ReadStreamOptions): AsyncIterable<T> {
    return readStream<T>(this.#core, workflowID, key, options, () => this.connect());
  }
}
