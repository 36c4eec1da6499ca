// The class PawlClient: starts, messages and management for a process that runs no workflows itself.

import { checkWorkflowID, createCodec, type ErrorClass } from '../codec/index.ts';
import { createRegistry } from '../engine/registry.ts';
import { createEmitter } from '../telemetry/events.ts';
import { type PawlConfig, resolveConfig } from './config.ts';
import { PawlCore } from './core.ts';
import { setInternals } from './internals.ts';
import * as management from './management.ts';
import { explainLaunch } from './launch-error.ts';
import { startRuntime } from './runtime.ts';
import { readStatus, type WorkflowStatus } from './status.ts';
import type { EventKey, Topic } from './topics.ts';
import * as verbs from './verbs.ts';
import * as workflows from './workflows.ts';
import type { StartParams, Workflow } from './workflows.ts';
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
export class PawlClient {
  readonly #core: PawlCore;
  readonly #config: PawlClientConfig;
  #connecting: Promise<void> | undefined;

  constructor(config: PawlClientConfig = {}) {
    this.#config = config;
    this.#core = new PawlCore(
      createCodec({ serializer: config.serializer }),
      createRegistry(),
      createEmitter(),
      true,
    );
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

  async getWorkflowStatus(workflowID: string): Promise<WorkflowStatus | null> {
    await this.connect();
    return readStatus(this.#core, workflowID);
  }

  async listWorkflows(filter?: management.WorkflowFilter): Promise<management.WorkflowList> {
    await this.connect();
    return management.listWorkflows(this.#core, filter);
  }

  async listWorkflowSteps(workflowID: string): Promise<management.StepInfo[]> {
    await this.connect();
    return management.listWorkflowSteps(this.#core, workflowID);
  }

  async listEvents(workflowID: string): Promise<management.EventInfo[]> {
    await this.connect();
    return management.listEvents(this.#core, workflowID);
  }

  async listMessages(workflowID: string): Promise<management.MessageInfo[]> {
    await this.connect();
    return management.listMessages(this.#core, workflowID);
  }

  async listExecutors(): Promise<management.ExecutorInfo[]> {
    await this.connect();
    return management.listExecutors(this.#core);
  }

  async cancelWorkflow(workflowID: string, options?: { cancelChildren?: boolean }): Promise<void> {
    await this.cancelWorkflows([workflowID], options);
  }

  async cancelWorkflows(
    workflowIDs: readonly string[],
    options?: { cancelChildren?: boolean },
  ): Promise<void> {
    await this.connect();
    return management.cancelWorkflows(this.#core, workflowIDs, options);
  }

  async resumeWorkflow<R = unknown>(workflowID: string): Promise<WorkflowHandle<R>> {
    await this.connect();
    await management.resumeWorkflows(this.#core, [workflowID]);
    return createHandle<R>(this.#core, workflowID);
  }

  async resumeWorkflows<R = unknown>(workflowIDs: readonly string[]): Promise<WorkflowHandle<R>[]> {
    await this.connect();
    await management.resumeWorkflows(this.#core, workflowIDs);
    return workflowIDs.map((id) => createHandle<R>(this.#core, id));
  }

  async restartWorkflow<R = unknown>(workflowID: string): Promise<WorkflowHandle<R>> {
    return this.forkWorkflow<R>(workflowID, 0);
  }

  async forkWorkflow<R = unknown>(
    workflowID: string,
    fromStep: number,
    params?: management.ForkParams,
  ): Promise<WorkflowHandle<R>> {
    await this.connect();
    return createHandle<R>(
      this.#core,
      await management.forkWorkflow(this.#core, workflowID, fromStep, params),
    );
  }

  async deleteWorkflow(workflowID: string): Promise<void> {
    await this.connect();
    return management.deleteWorkflow(this.#core, workflowID);
  }
}
