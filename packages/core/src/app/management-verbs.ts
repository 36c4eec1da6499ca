// The verbs that are the same for Pawl and PawlClient: those that look at workflows and intervene in them, and debounce.
import type { PawlCore } from './core.ts';
import { debounce, type DebounceOptions } from './debounce.ts';
import { createHandle, type WorkflowHandle } from './handles.ts';
import type { Duration } from '../codec/index.ts';
import * as queues from './queues.ts';
import * as management from './management.ts';
import * as schedules from './schedules.ts';
import { readStatus, type WorkflowStatus } from './status.ts';
import type { Workflow } from './workflows.ts';

export class ManagementVerbs {
  readonly #core: PawlCore;

  constructor(core: PawlCore) {
    this.#core = core;
  }

  /** Calls it once the database can be reached. It must not wait for anything if it can: a call takes its step id at once. */
  protected reach<T>(call: () => Promise<T>): Promise<T> {
    return call();
  }

  #recorded<T>(name: string, call: () => Promise<T>): Promise<T> {
    return this.reach(() => this.#core.recordedCall(name, call));
  }

  /**
   * Starts a workflow once no call came for `period`: calls with the same workflow and key, of all processes, become one
   * run with the input of the last. `maxWait` bounds how long calls can put it off. All get the handle of that run, when
   * it is durable that it has their input or a later one; the next call after it has begun makes another run. Its id is
   * random (not that of `withNextWorkflowID`); `cancelWorkflow` takes a pending one back. Inside a workflow the call is a
   * step, recorded, and the run is not a child.
   * @throws ConfigurationError for a period of 0, a `maxWait` that is shorter; ValidationError for an empty key
   * @throws SerializationError, ValidationError for an argument that cannot be stored or is not valid; nothing is written
   * @example
   * const reindexSoon = pawl.debounce(reindex, { key: `document-${id}`, period: '5s', maxWait: '1m' });
   * await reindexSoon(document);
   */
  debounce<W extends Workflow<never[], unknown> = Workflow<unknown[], unknown>>(
    workflow: string,
    options: DebounceOptions,
  ): (...args: Parameters<W>) => Promise<WorkflowHandle<Awaited<ReturnType<W>>>>;
  debounce<A extends unknown[], R>(
    workflow: Workflow<A, R>,
    options: DebounceOptions,
  ): (...args: A) => Promise<WorkflowHandle<R>>;
  debounce<R>(
    workflow: { workflowName: string } | string,
    options: DebounceOptions,
  ): (...args: unknown[]) => Promise<WorkflowHandle<R>> {
    return (...args) =>
      this.#core.observed(this.reach(() => debounce<R>(this.#core, workflow, options, args)));
  }

  getWorkflowStatus(workflowID: string): Promise<WorkflowStatus | null> {
    return this.#recorded('getStatus', () => readStatus(this.#core, workflowID));
  }

  listWorkflows(filter?: management.WorkflowFilter): Promise<management.WorkflowList> {
    return this.#recorded('listWorkflows', () => management.listWorkflows(this.#core, filter));
  }

  /** Those that wait in queues, or for their delay to be over. */
  listQueuedWorkflows(filter?: management.WorkflowFilter): Promise<management.WorkflowList> {
    return this.#recorded('listQueuedWorkflows', () =>
      management.listWorkflows(this.#core, { status: ['ENQUEUED', 'DELAYED'], ...filter }),
    );
  }

  /** Queues by name, with their limits and how many wait and run. */
  listQueues(): Promise<queues.QueueInfo[]> {
    return this.#recorded('listQueues', () => queues.listQueues(this.#core));
  }

  /** Nothing is taken out of it any more, by any process, until `resumeQueue`. What runs goes on. @throws UnknownQueueError */
  pauseQueue(name: string): Promise<void> {
    return this.reach(() => queues.pauseQueue(this.#core, name, true));
  }

  resumeQueue(name: string): Promise<void> {
    return this.reach(() => queues.pauseQueue(this.#core, name, false));
  }

  /** Of a workflow that still waits; any other is left alone. @throws NonExistentWorkflowError */
  setWorkflowPriority(workflowID: string, priority: number): Promise<void> {
    return this.reach(() => queues.setWorkflowPriority(this.#core, workflowID, priority));
  }

  /** Of a workflow that still waits: it begins no earlier, counted from now; 0: as soon as its queue lets it. */
  setWorkflowDelay(workflowID: string, delay: Duration): Promise<void> {
    return this.reach(() => queues.setWorkflowDelay(this.#core, workflowID, delay));
  }

  listWorkflowSteps(workflowID: string): Promise<management.StepInfo[]> {
    return this.#recorded('listWorkflowSteps', () => management.listWorkflowSteps(this.#core, workflowID));
  }

  listEvents(workflowID: string): Promise<management.EventInfo[]> {
    return this.#recorded('listEvents', () => management.listEvents(this.#core, workflowID));
  }

  listMessages(workflowID: string): Promise<management.MessageInfo[]> {
    return this.#recorded('listMessages', () => management.listMessages(this.#core, workflowID));
  }

  listExecutors(): Promise<management.ExecutorInfo[]> {
    return this.#recorded('listExecutors', () => management.listExecutors(this.#core));
  }

  /** Schedules that any process has ever registered, by name. */
  listSchedules(): Promise<schedules.ScheduleInfo[]> {
    return this.#recorded('listSchedules', () => schedules.listSchedules(this.#core));
  }

  /**
   * Holds a schedule until `resumeSchedule`, in all processes. Its ticks until then are skipped, or, in the mode 'catch-up',
   * run after it.
   * @throws NotRegisteredError if no process has ever registered it
   */
  pauseSchedule(name: string): Promise<void> {
    return this.reach(() => schedules.setPaused(this.#core, name, true));
  }

  /** @throws NotRegisteredError if no process has ever registered it */
  resumeSchedule(name: string): Promise<void> {
    return this.reach(() => schedules.setPaused(this.#core, name, false));
  }

  /**
   * Starts a run of a schedule now, besides those of its ticks, paused or not; both its dates are the time of the call.
   * @throws NotRegisteredError if no process has ever registered it
   */
  async triggerSchedule<R = unknown>(name: string): Promise<WorkflowHandle<R>> {
    const id = await this.reach(() => schedules.triggerSchedule(this.#core, name));
    return createHandle<R>(this.#core, id);
  }

  /**
   * Starts the runs of all ticks from `from` up to `to`, which does not belong to it, that are in the past. Those that have
   * run before are not run again: their ids are the same.
   * @returns handles of all of them, in the order of the ticks
   * @throws NotRegisteredError if no process has ever registered it
   * @throws ValidationError for more than 10,000 ticks
   * @example
   * await pawl.backfillSchedule('daily-report', new Date('2026-03-01'), new Date('2026-03-08'));
   */
  async backfillSchedule<R = unknown>(name: string, from: Date, to: Date): Promise<WorkflowHandle<R>[]> {
    const ids = await this.reach(() => schedules.backfillSchedule(this.#core, name, from, to));
    return ids.map((id) => createHandle<R>(this.#core, id));
  }

  /** Ends a workflow that has not ended. What runs sees it at its next durable operation, waits at once. */
  cancelWorkflow(workflowID: string, options?: { cancelChildren?: boolean }): Promise<void> {
    return this.reach(() => management.cancelWorkflows(this.#core, [workflowID], options));
  }

  cancelWorkflows(workflowIDs: readonly string[], options?: { cancelChildren?: boolean }): Promise<void> {
    return this.reach(() => management.cancelWorkflows(this.#core, workflowIDs, options));
  }

  /** Goes on from the last completed step, on the current version. One that runs or has ended well is left alone. */
  async resumeWorkflow<R = unknown>(workflowID: string): Promise<WorkflowHandle<R>> {
    await this.reach(() => management.resumeWorkflows(this.#core, [workflowID]));
    return createHandle<R>(this.#core, workflowID);
  }

  async resumeWorkflows<R = unknown>(workflowIDs: readonly string[]): Promise<WorkflowHandle<R>[]> {
    await this.reach(() => management.resumeWorkflows(this.#core, workflowIDs));
    return workflowIDs.map((id) => createHandle<R>(this.#core, id));
  }

  /** A new workflow, with a new id, with the same input. */
  async restartWorkflow<R = unknown>(workflowID: string): Promise<WorkflowHandle<R>> {
    return this.forkWorkflow<R>(workflowID, 0);
  }

  /** A new workflow with the same input that has the steps before `fromStep` already. */
  async forkWorkflow<R = unknown>(
    workflowID: string,
    fromStep: number,
    params?: management.ForkParams,
  ): Promise<WorkflowHandle<R>> {
    const id = await this.reach(() => management.forkWorkflow(this.#core, workflowID, fromStep, params));
    return createHandle<R>(this.#core, id);
  }

  /** Forgets a workflow with all that belongs to it. */
  deleteWorkflow(workflowID: string): Promise<void> {
    return this.reach(() => management.deleteWorkflow(this.#core, workflowID));
  }
}
