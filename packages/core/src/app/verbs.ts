// The verbs inside a workflow, and those that work on both sides: checks of arguments and surroundings, then the
// engine.

import {
  checkName,
  checkWorkflowID,
  type Duration,
  secondsToMilliseconds,
  toMilliseconds,
} from '../codec/index.ts';
import {
  recordValue,
  sendFromOutside,
  sendFromWorkflow,
  sendWithin,
  setEvent as setEventOf,
  type SendRequest,
} from '../engine/messages.ts';
import { createHook as createHookOf, type Hook } from '../engine/hooks.ts';
import type { EngineHost } from '../engine/host.ts';
import { deprecatePatch as deprecatePatchOf, patch as patchOf } from '../engine/patches.ts';
import { type Recorded, settle } from '../engine/record.ts';
import { takeNextID } from '../engine/scope.ts';
import { StepContext } from '../engine/step-context.ts';
import { runStep as runStepOf, type StepOptions } from '../engine/steps.ts';
import {
  runPlainTransaction,
  runTransaction as runTransactionOf,
  type SqlClient,
  type TransactionStepOptions,
} from '../engine/transactions.ts';
import { wait, waitKeys } from '../engine/waits.ts';
import { InStepError, ValidationError } from '../errors/index.ts';
import { checkOptions } from './check-options.ts';
import { RETRY_OPTIONS } from './config.ts';
import type { PawlCore } from './core.ts';
import { type EventKey, nameOf, type Topic, validate } from './topics.ts';
import { clientOf, type SqlClientLike } from './sql-client.ts';
import { withTimeout } from './with-timeout.ts';

const STEP_OPTIONS: Record<keyof StepOptions, true> = {
  name: true,
  ...RETRY_OPTIONS,
};
const TRANSACTION_OPTIONS: Record<keyof TransactionStepOptions, true> = {
  name: true,
  isolationLevel: true,
  readOnly: true,
};

export function runStep<R>(
  core: PawlCore,
  fn: (step: StepContext) => Promise<R> | R,
  options?: StepOptions,
): Promise<R> {
  const given: unknown = fn;
  if (typeof given !== 'function')
    return Promise.reject(
      new ValidationError(
        `runStep takes a function, not ${given instanceof Promise ? 'a promise: what made it has begun already, and would run at every replay' : typeof given}. ` +
          'Write runStep(() => …).',
      ),
    );
  const { activation, step } = core.scope();
  try {
    checkOptions('runStep()', options, STEP_OPTIONS);
    if (activation === undefined || step !== undefined)
      return Promise.resolve(fn(step ?? new StepContext(undefined, -1, 1, 1)));
    return runStepOf(core.running('runStep').engine, activation, fn, options);
  } catch (error) {
    return Promise.reject(error);
  }
}

export function registerStep<A extends unknown[], R>(
  core: PawlCore,
  fn: (...args: A) => Promise<R> | R,
  options: StepOptions | undefined,
): (...args: A) => Promise<R> {
  checkOptions('registerStep()', options, STEP_OPTIONS);
  const named = { ...options, name: options?.name ?? (fn.name || 'step') };
  return (...args) => core.observed(runStep(core, () => fn(...args), named));
}

export function registerTransaction<A extends unknown[], R>(
  core: PawlCore,
  fn: (tx: SqlClient, ...args: A) => Promise<R>,
  options: TransactionStepOptions | undefined,
): (...args: A) => Promise<R> {
  checkOptions('registerTransaction()', options, TRANSACTION_OPTIONS);
  const named = { ...options, name: options?.name ?? (fn.name || 'step') };
  return (...args) => core.observed(runTransaction(core, (tx) => fn(tx, ...args), named));
}

export async function runTransaction<R>(
  core: PawlCore,
  fn: (tx: SqlClient) => Promise<R>,
  options: TransactionStepOptions = {},
): Promise<R> {
  checkOptions('runTransaction()', options, TRANSACTION_OPTIONS);
  const { activation, step, inTransaction } = core.scope();
  const runtime = core.running('runTransaction');
  if (inTransaction) throw new InStepError('runTransaction', 'transaction', activation?.workflowID);
  const value =
    activation !== undefined && step === undefined
      ? await runTransactionOf(runtime.engine, activation, fn, options)
      : await runPlainTransaction(runtime.engine, fn, options);
  return value;
}

export async function sleep(core: PawlCore, duration: Duration): Promise<void> {
  const timeoutMs = toMilliseconds(duration, 'duration of sleep');
  return sleepFor(core, 'sleep', timeoutMs);
}

export async function sleepUntil(core: PawlCore, date: Date): Promise<void> {
  const time = date instanceof Date ? date.getTime() : Number.NaN;
  if (Number.isNaN(time)) throw new ValidationError('sleepUntil() takes a valid Date.');
  core.inWorkflow('sleepUntil');
  return sleepFor(core, 'sleepUntil', Math.max(0, time - core.running('sleepUntil').engine.clock.now()));
}

function sleepFor(core: PawlCore, verb: string, timeoutMs: number): Promise<void> {
  const activation = core.inWorkflow(verb);
  const { engine } = core.running(verb);
  return (
    activation.refusal() ??
    new Promise<void>((resolve, reject) => {
      wait(engine, activation, {
        part: { kind: 'sleep', name: null, target: null, timeoutMs },
        key: undefined,
        deliver: () => resolve(),
        reject,
      });
    })
  );
}

export async function setEvent<T>(
  core: PawlCore,
  key: string | EventKey<T>,
  value: T,
  options: { once?: boolean } = {},
): Promise<void> {
  const activation = core.inWorkflow('setEvent');
  const name = nameOf(key, 'event key');
  const { engine } = core.running('setEvent');
  const checked =
    typeof key === 'string' ? value : validate(key.schema, value, `The value of event "${name}"`);
  if (checked instanceof Promise)
    throw new ValidationError(`The schema of event "${name}" must be synchronous.`);
  return setEventOf(engine, activation, name, core.codec.encode(checked), options.once ?? false);
}

const DEFAULT_WAIT_SECONDS = 60;

export async function recv<T>(
  core: PawlCore,
  topic?: string | Topic<T>,
  timeoutSeconds = DEFAULT_WAIT_SECONDS,
): Promise<T | null> {
  const activation = core.inWorkflow('recv');
  const { engine } = core.running('recv');
  const name = topic === undefined ? '' : nameOf(topic, 'topic');
  const timeoutMs = secondsToMilliseconds(timeoutSeconds, 'timeoutSeconds of recv', { allowInfinity: true });
  return (
    activation.refusal() ??
    new Promise<T | null>((resolve, reject) => {
      wait(engine, activation, {
        part: { kind: 'recv', name: null, target: name, timeoutMs: finite(timeoutMs) },
        key: waitKeys.message(activation.workflowID, name),
        deliver: (recorded) => deliverOrNull(engine, recorded, resolve, reject),
        reject,
      });
    })
  );
}

export async function getEvent<T>(
  core: PawlCore,
  workflowID: string,
  key: string | EventKey<T>,
  timeoutSeconds = DEFAULT_WAIT_SECONDS,
): Promise<T | null> {
  const runtime = core.outsideTransaction('getEvent');
  const { activation, step } = core.scope();
  if (step !== undefined) throw new InStepError('getEvent', 'step', activation?.workflowID);
  checkWorkflowID(workflowID);
  const name = nameOf(key, 'event key');
  const timeoutMs = secondsToMilliseconds(timeoutSeconds, 'timeoutSeconds of getEvent', {
    allowInfinity: true,
  });
  if (activation === undefined) {
    const { promise, looked, abandon } = runtime.event(workflowID, name);
    const decoded = promise.then((text): T | null => core.codec.decode(text) as T);
    return withTimeout<T | null>(decoded, { timeoutMs, looked, abandon });
  }
  return (
    activation.refusal() ??
    new Promise<T | null>((resolve, reject) => {
      wait(runtime.engine, activation, {
        part: { kind: 'getEvent', name, target: workflowID, timeoutMs: finite(timeoutMs) },
        key: waitKeys.event(workflowID, name),
        deliver: (recorded) => deliverOrNull(runtime.engine, recorded, resolve, reject),
        reject,
      });
    })
  );
}

function deliverOrNull<T>(
  engine: EngineHost,
  recorded: Recorded,
  resolve: (value: T | null) => void,
  reject: (error: unknown) => void,
): void {
  if (recorded.outcome === 'timeout') resolve(null);
  else settle(engine, recorded, resolve, reject);
}

function finite(timeoutMs: number): number | null {
  return Number.isFinite(timeoutMs) ? timeoutMs : null;
}

export interface SendOptions {
  /** One message per destination and key, however often it is sent. */
  idempotencyKey?: string;
  /** For a workflow that nobody started yet: an error (default), or kept until somebody does. */
  onMissing?: 'error' | 'park';
  /** Send inside this transaction: sent if and only if it commits. */
  transaction?: SqlClientLike;
}

export async function send<T>(
  core: PawlCore,
  destinationID: string,
  message: T,
  topic?: string | Topic<T>,
  options: SendOptions = {},
): Promise<void> {
  const { engine } =
    options.transaction === undefined ? core.outsideTransaction('send') : core.running('send');
  const { activation, step, settings } = core.scope();
  if (step !== undefined && options.transaction === undefined)
    throw new InStepError('send', 'step', activation?.workflowID);
  const inside = activation !== undefined && step === undefined && options.transaction === undefined;
  const name = topic === undefined ? '' : nameOf(topic, 'topic');
  const checked =
    topic === undefined || typeof topic === 'string'
      ? message
      : validate(topic.schema, message, `The message to topic "${name}"`);
  if (checked instanceof Promise && inside)
    throw new ValidationError(`The schema of topic "${name}" must be synchronous to be used in a workflow.`);
  const nextID = inside ? undefined : takeNextID(settings);
  const key =
    options.idempotencyKey === undefined ? nextID : checkName(options.idempotencyKey, 'idempotency key');
  const request: SendRequest = {
    destination: checkWorkflowID(destinationID),
    topic: name,
    body: core.codec.encode(checked instanceof Promise ? await checked : checked),
    idempotencyKey: key,
    park: options.onMissing === 'park',
  };
  if (inside) return sendFromWorkflow(engine, activation, request);
  if (options.transaction !== undefined) return sendWithin(engine, clientOf(options.transaction), request);
  return sendFromOutside(engine, request);
}

export interface HookOptions {
  /** How long it can be answered, by the database's clock. Default: as long as the workflow runs. */
  ttl?: Duration;
}

export async function createHook(
  core: PawlCore,
  topic: string | Topic<unknown>,
  options: HookOptions = {},
): Promise<Hook> {
  const activation = core.inWorkflow('createHook');
  return createHookOf(core.running('createHook').engine, activation, {
    topic: nameOf(topic, 'topic'),
    ttlMs: options.ttl === undefined ? null : toMilliseconds(options.ttl, 'ttl of createHook'),
    urlOf: (token) => `${core.hooksURL}/${token}`,
  });
}

export async function now(core: PawlCore): Promise<Date> {
  const activation = core.inWorkflow('now');
  const { engine } = core.running('now');
  return recordValue(engine, activation, 'now', () => new Date(Math.floor(engine.clock.now())));
}

export async function randomUUID(core: PawlCore): Promise<string> {
  const activation = core.inWorkflow('randomUUID');
  return recordValue(core.running('randomUUID').engine, activation, 'randomUUID', () =>
    globalThis.crypto.randomUUID(),
  );
}

export async function patch(core: PawlCore, name: string): Promise<boolean> {
  const activation = core.inWorkflow('patch');
  return patchOf(core.running('patch').engine, activation, checkName(name, 'patch name'));
}

export async function deprecatePatch(core: PawlCore, name: string): Promise<void> {
  const activation = core.inWorkflow('deprecatePatch');
  return deprecatePatchOf(core.running('deprecatePatch').engine, activation, checkName(name, 'patch name'));
}
