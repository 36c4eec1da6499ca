// Registration, starts and handles: the typed surface over the engine's starts.

import type { StandardSchemaV1 } from '@standard-schema/spec';
import { checkName, checkWorkflowID, type Duration, shown, toMilliseconds } from '../codec/index.ts';
import type { DuplicatePolicy, Registration, WorkflowFunction } from '../engine/registry.ts';
import { type Scope, takeNextID } from '../engine/scope.ts';
import {
  startChild,
  forAnybody,
  startFromOutside,
  startTogether,
  startWithin,
  type StartRequest,
} from '../engine/starts.ts';
import { ConfigurationError, InStepError, NotRegisteredError, ValidationError } from '../errors/index.ts';
import { encodeAttributes } from './attributes.ts';
import { checkOptions } from './check-options.ts';
import type { PawlCore } from './core.ts';
import { createHandle, type WorkflowHandle } from './handles.ts';
import { queuesStored, readQueued } from './queues.ts';
import { clientOf, type SqlClientLike } from './sql-client.ts';
import type { JsonValue } from './status.ts';
import { validate } from './topics.ts';

export interface RegisterOptions {
  /** Default: the function's name. Must be unique. */
  name?: string;
  /** Checks and converts the argument before it is stored. Any Standard Schema. */
  input?: StandardSchemaV1;
  /** How often a workflow may be taken over after its process died. Default 100; 0: never retried after a crash. */
  maxRecoveryAttempts?: number;
  /** Cancels a run that takes longer. Default: none. */
  timeout?: Duration;
  /** What a second start of an id gets. Default 'return-existing'. */
  duplicatePolicy?: DuplicatePolicy;
}

/** A registered workflow: calling it runs it and waits for its result. */
export interface Workflow<A extends unknown[], R> {
  (...args: A): Promise<R>;
  readonly workflowName: string;
}

export interface StartParams {
  /** Default: random; for a child `{parentID}-{stepID}`. The same id twice runs once. */
  workflowID?: string;
  duplicatePolicy?: DuplicatePolicy;
  /** null: none, not even the parent's. */
  timeout?: Duration | null;
  /** Waits there until the queue's limits let it begin, in any process that serves queue and workflow. */
  queueName?: string;
  /** Smaller first; default 0. Of a queue with `priorityEnabled`. */
  priority?: number;
  /** Unique among the unfinished workflows of the queue; a second one is a QueueDuplicatedError. */
  deduplicationID?: string;
  /** Compulsory where the queue is partitioned. */
  partitionKey?: string;
  /** Begins no earlier, counted from the commit. With or without a queue. */
  delay?: Duration;
  attributes?: Record<string, JsonValue>;
  /** Runs only in a process of this version. Default: any that has registered the workflow. */
  applicationVersion?: string;
  /** Start inside this transaction: exists if and only if it commits, runs after it. In a workflow: in `runTransaction`. */
  transaction?: SqlClientLike;
}

export function registerWorkflow<A extends unknown[], R>(
  core: PawlCore,
  fn: (...args: A) => Promise<R>,
  options: RegisterOptions = {},
): Workflow<A, R> {
  if (typeof fn !== 'function') throw new ConfigurationError('registerWorkflow() takes a function.');
  checkOptions('registerWorkflow()', options, REGISTER_OPTIONS);
  const name = options.name ?? fn.name;
  if (name === '') {
    throw new ConfigurationError(
      'A workflow needs a name: register a named function, or give registerWorkflow(fn, { name }).',
    );
  }
  const { maxRecoveryAttempts = 100 } = options;
  if (!Number.isInteger(maxRecoveryAttempts) || maxRecoveryAttempts < 0) {
    throw new ConfigurationError(
      `maxRecoveryAttempts of workflow "${name}" must be a whole number of at least 0, not ${maxRecoveryAttempts}.`,
    );
  }
  core.registry.add({
    name,
    fn: fn as unknown as WorkflowFunction,
    input: options.input,
    maxRecoveryAttempts,
    timeoutMs:
      options.timeout === undefined
        ? undefined
        : toMilliseconds(options.timeout, `timeout of workflow "${name}"`),
    duplicatePolicy: options.duplicatePolicy ?? 'return-existing',
  });
  core.registered();
  const run = async (args: A): Promise<R> => {
    const handle = await startWorkflow<A, R>(core, name, {}, args);
    return handle.getResult();
  };
  const workflow = (...args: A): Promise<R> => core.observed(run(args));
  return Object.defineProperties(workflow, {
    name: { value: name },
    workflowName: { value: name },
  }) as unknown as Workflow<A, R>;
}

export async function startWorkflow<A extends unknown[], R>(
  core: PawlCore,
  workflow: { workflowName: string } | string,
  params: StartParams,
  args: A,
): Promise<WorkflowHandle<R>> {
  const runtime =
    params.transaction === undefined
      ? core.outsideTransaction('startWorkflow')
      : core.running('startWorkflow');
  const scope = core.scope();
  if (scope.step !== undefined && params.transaction === undefined) {
    throw new InStepError('startWorkflow', 'step', scope.activation?.workflowID);
  }
  if (scope.activation !== undefined && scope.step === undefined && params.transaction !== undefined)
    // A child is started by its parent's step, whatever becomes of that transaction.
    throw new ValidationError(
      'In a workflow, startWorkflow() takes the transaction of runTransaction(), or one of a step: a transaction of the workflow itself would be run again by each replay.',
    );
  const request = readRequest(core, workflow, params);
  const { registration, queued } = request;
  const { engine } = runtime;
  const parent = scope.activation;
  let workflowID: string;
  if (parent !== undefined && scope.step === undefined) {
    workflowID = await startChild(engine, parent, request, () => encodeInput(core, registration, args));
  } else {
    const input = encodeInput(core, registration, args);
    request.input = input instanceof Promise ? await input : input;
    if (queued !== undefined) await queuesStored(core);
    workflowID =
      params.transaction === undefined
        ? await startFromOutside(engine, core.observer ? forAnybody(request) : request)
        : await startWithin(engine, clientOf(params.transaction), request, parent);
  }
  return createHandle<R>(core, workflowID);
}

/** One of `startWorkflows`: a workflow, its arguments, and what `startWorkflow` takes. */
export interface WorkflowStart extends Omit<StartParams, 'transaction'> {
  workflow: { workflowName: string } | string;
  /** Default: none. */
  args?: readonly unknown[];
}

/** All of them or, where one cannot be started, none. In a workflow they are children, one step each. */
export async function startWorkflows(
  core: PawlCore,
  starts: readonly WorkflowStart[],
): Promise<WorkflowHandle<unknown>[]> {
  const runtime = core.outsideTransaction('startWorkflows');
  const { activation, step } = core.scope();
  if (step !== undefined) throw new InStepError('startWorkflows', 'step', activation?.workflowID);
  starts.forEach(({ args = [] }, index) => {
    if (!Array.isArray(args))
      throw new ValidationError(
        `args of start ${index} of startWorkflows() must be an array of the arguments, such as [value], not ${shown(args)}.`,
      );
  });
  // Left out unsaid, they would be there although that transaction is rolled back.
  if (starts.some((start) => (start as StartParams).transaction !== undefined))
    throw new ValidationError(
      'startWorkflows() has a transaction of its own and takes none. To start in yours, call startWorkflow(workflow, { transaction }) for each.',
    );
  if (activation !== undefined)
    return Promise.all(
      starts.map(({ workflow, args = [], ...params }) => startWorkflow(core, workflow, params, [...args])),
    );
  const requests: StartRequest[] = [];
  for (const { workflow, args = [], ...params } of starts) {
    const request = readRequest(core, workflow, params);
    request.input = await encodeInput(core, request.registration, [...args]);
    requests.push(request);
  }
  await queuesStored(core);
  const ids = await startTogether(runtime.engine, requests);
  return ids.map((id) => createHandle(core, id));
}

const START_PARAMS: Record<keyof StartParams, true> = {
  workflowID: true,
  duplicatePolicy: true,
  timeout: true,
  queueName: true,
  priority: true,
  deduplicationID: true,
  partitionKey: true,
  delay: true,
  attributes: true,
  applicationVersion: true,
  transaction: true,
};
const REGISTER_OPTIONS: Record<keyof RegisterOptions, true> = {
  name: true,
  input: true,
  maxRecoveryAttempts: true,
  timeout: true,
  duplicatePolicy: true,
};

export function readRequest(
  core: PawlCore,
  workflow: { workflowName: string } | string,
  params: StartParams,
): StartRequest {
  const name =
    typeof workflow === 'string'
      ? workflow
      : (workflow as { workflowName?: string } | undefined)?.workflowName;
  if (name === undefined)
    throw new NotRegisteredError(String((workflow as { name?: string } | undefined)?.name ?? workflow));
  const registration = core.observer ? elsewhere(name) : core.registry.get(name);
  checkOptions('startWorkflow()', params, START_PARAMS);
  const scope = core.scope();
  return {
    registration,
    workflowID:
      params.workflowID === undefined ? takeNextID(scope.settings) : checkWorkflowID(params.workflowID),
    input: null,
    duplicatePolicy: params.duplicatePolicy ?? registration.duplicatePolicy,
    timeoutMs: timeoutOf(params, scope, registration),
    queued: readQueued(params),
    priority: params.priority,
    version: params.applicationVersion ?? null,
    attributes: encodeAttributes(params.attributes),
    auth: scope.settings.auth ?? scope.activation?.auth,
  };
}

/** A workflow that other processes run: nothing is known of it here but its name. */
function elsewhere(name: string): Registration {
  return {
    name: checkName(name, 'workflow name'),
    fn: () => Promise.reject(new NotRegisteredError(name)),
    version: '',
    input: undefined,
    maxRecoveryAttempts: 0,
    timeoutMs: undefined,
    duplicatePolicy: 'return-existing',
  };
}

/** The stored form of the arguments; a promise only if the input schema is asynchronous. */
export function encodeInput(
  core: PawlCore,
  registration: Registration,
  args: unknown[],
): string | null | Promise<string | null> {
  if (registration.input === undefined) return core.codec.encode(args);
  const [first, ...rest] = args;
  const valid = validate(registration.input, first, `The input of workflow "${registration.name}"`);
  return valid instanceof Promise
    ? valid.then((value: unknown) => core.codec.encode([value, ...rest]))
    : core.codec.encode([valid, ...rest]);
}

function timeoutOf(params: StartParams, scope: Scope, registration: Registration): number | null | undefined {
  const given = params.timeout !== undefined ? params.timeout : scope.settings.timeout;
  if (given === null) return null;
  if (given !== undefined) return toMilliseconds(given, `timeout of workflow "${registration.name}"`);
  return registration.timeoutMs;
}
