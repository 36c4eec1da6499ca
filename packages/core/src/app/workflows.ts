// Registration, starts and handles: the typed surface over the engine's starts.

import type { StandardSchemaV1 } from '@standard-schema/spec';
import { checkName, checkWorkflowID, type Duration, toMilliseconds } from '../codec/index.ts';
import type { DuplicatePolicy, Registration, WorkflowFunction } from '../engine/registry.ts';
import { type Scope, takeNextID } from '../engine/scope.ts';
import { startChild, startFromOutside, startWithin, type StartRequest } from '../engine/starts.ts';
import {
  ConfigurationError,
  InStepError,
  NotRegisteredError,
  UnknownQueueError,
  ValidationError,
} from '../errors/index.ts';
import { encodeAttributes } from './attributes.ts';
import type { PawlCore } from './core.ts';
import { createHandle, type WorkflowHandle } from './handles.ts';
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
  queueName?: string;
  priority?: number;
  deduplicationID?: string;
  partitionKey?: string;
  delay?: Duration;
  attributes?: Record<string, JsonValue>;
  applicationVersion?: string;
  /** Start inside this transaction: exists if and only if it commits, runs after it. */
  transaction?: SqlClientLike;
}

export function registerWorkflow<A extends unknown[], R>(
  core: PawlCore,
  fn: (...args: A) => Promise<R>,
  options: RegisterOptions = {},
): Workflow<A, R> {
  if (typeof fn !== 'function') throw new ConfigurationError('registerWorkflow() takes a function.');
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
  const name =
    typeof workflow === 'string'
      ? workflow
      : (workflow as { workflowName?: string } | undefined)?.workflowName;
  if (name === undefined)
    throw new NotRegisteredError(String((workflow as { name?: string } | undefined)?.name ?? workflow));
  const registration = core.observer ? elsewhere(name) : core.registry.get(name);
  const scope = core.scope();
  if (scope.step !== undefined && params.transaction === undefined) {
    throw new InStepError('startWorkflow', 'step', scope.activation?.workflowID);
  }
  for (const name of ['delay', 'deduplicationID', 'partitionKey', 'applicationVersion'] as const) {
    if (params[name] !== undefined)
      throw new ConfigurationError(`startWorkflow() cannot take ${name} yet; the workflow was not started.`);
  }
  if (params.queueName !== undefined) throw new UnknownQueueError(params.queueName, params.workflowID);
  const request: StartRequest = {
    registration,
    workflowID:
      params.workflowID === undefined ? takeNextID(scope.settings) : checkWorkflowID(params.workflowID),
    input: null,
    duplicatePolicy: params.duplicatePolicy ?? registration.duplicatePolicy,
    timeoutMs: timeoutOf(params, scope, registration),
    priority: checkPriority(params.priority),
    attributes: encodeAttributes(params.attributes),
    auth: scope.settings.auth ?? scope.activation?.auth,
  };
  const { engine } = runtime;
  const parent = scope.activation;
  let workflowID: string;
  if (parent !== undefined && scope.step === undefined) {
    workflowID = await startChild(engine, parent, request, () => encodeInput(core, registration, args));
  } else {
    request.input = await encodeInput(core, registration, args);
    workflowID =
      params.transaction === undefined
        ? await startFromOutside(engine, request, core.observer)
        : await startWithin(engine, clientOf(params.transaction), request, parent);
  }
  if (core.observer) runtime.claimSoon();
  return createHandle<R>(core, workflowID);
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

function checkPriority(priority: number | undefined): number | undefined {
  if (priority === undefined || (Number.isInteger(priority) && Math.abs(priority) < 2 ** 31)) return priority;
  throw new ValidationError(`priority must be a whole number of 32 bits, not ${String(priority)}.`);
}

/** The stored form of the arguments; a promise only if the input schema is asynchronous. */
function encodeInput(
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
