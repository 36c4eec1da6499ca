// Steps: a function of the user's, tried at least once, recorded when it returned or threw, never run again after
// that. Retries happen inside; each further attempt is written before it begins, so the count survives a crash.

import { checkName, type Duration, toMilliseconds } from '../codec/index.ts';
import { ConfigurationError, MaxStepRetriesError, StepTimeoutError } from '../errors/index.ts';
import type { StepKind } from '../store/operations.ts';
import type { EngineEvents, Surroundable } from '../telemetry/events.ts';
import type { Activation } from './activation.ts';
import type { EngineHost } from './host.ts';
import { record, type Recorded, refused, replay, settle, stepPart } from './record.ts';
import type { Scope } from './scope.ts';
import { StepContext } from './step-context.ts';

/** How a step is retried. Nothing is, unless `retriesAllowed`. */
export interface StepRetryOptions {
  /** Default false: what a step throws first is its result. */
  retriesAllowed?: boolean;
  /** All attempts together, the first included. Default 3. */
  maxAttempts?: number;
  /** Seconds before the second attempt. Default 1. */
  intervalSeconds?: number;
  /** Each further pause is longer by this factor. Default 2. */
  backoffRate?: number;
  /** No pause is longer. Default 3600. */
  maxIntervalSeconds?: number;
  /** Pauses are drawn between half and the whole of their length. Default true. */
  jitter?: boolean;
  /** One attempt may take so long; then its signal is aborted and it counts as failed with `StepTimeoutError`. */
  timeout?: Duration;
  /** false: this error is final, and is thrown as it is. */
  shouldRetry?: (error: unknown, attempt: number) => boolean | Promise<boolean>;
}

export interface StepOptions extends StepRetryOptions {
  /** Default: the function's name, else 'step'. Compared on replay. */
  name?: string;
}

interface Policy {
  maxAttempts: number;
  timeoutMs: number | undefined;
  pauseMs: (attempt: number) => number;
  shouldRetry: StepRetryOptions['shouldRetry'];
}

const ONCE: Policy = { maxAttempts: 1, timeoutMs: undefined, pauseMs: () => 0, shouldRetry: undefined };

/** Checks the options once; most steps have none. */
function policyOf(options: StepRetryOptions, defaults: StepRetryOptions, name: string): Policy {
  const merged = { ...defaults, ...options };
  const {
    retriesAllowed = false,
    maxAttempts = 3,
    intervalSeconds = 1,
    backoffRate = 2,
    maxIntervalSeconds = 3600,
    jitter = true,
  } = merged;
  const whole = (value: number, what: string, least: number) => {
    if (!(value >= least))
      throw new ConfigurationError(
        `${what} of step "${name}" must be a number of at least ${least}, not ${value}.`,
      );
  };
  whole(maxAttempts, 'maxAttempts', 1);
  whole(intervalSeconds, 'intervalSeconds', 0);
  whole(backoffRate, 'backoffRate', 1);
  whole(maxIntervalSeconds, 'maxIntervalSeconds', 0);
  return {
    maxAttempts: retriesAllowed ? Math.floor(maxAttempts) : 1,
    timeoutMs:
      merged.timeout === undefined ? undefined : toMilliseconds(merged.timeout, `timeout of step "${name}"`),
    pauseMs: (attempt) => {
      const pause = Math.min(maxIntervalSeconds, intervalSeconds * backoffRate ** (attempt - 1)) * 1000;
      return jitter ? pause * (0.5 + Math.random() / 2) : pause;
    },
    shouldRetry: merged.shouldRetry,
  };
}

const NO_OPTIONS: StepOptions = {};

function onlyNamed(options: StepOptions): boolean {
  for (const key in options) if (key !== 'name') return false;
  return true;
}

const checkedNames = new Set<string>();

export function stepName(fn: { name: string }, options: { name?: string }): string {
  const name = options.name ?? (fn.name || 'step');
  if (!checkedNames.has(name)) {
    checkName(name, 'step name');
    if (checkedNames.size < 10_000) checkedNames.add(name);
  }
  return name;
}

/** A step of a running workflow. The caller has made sure that this is no call inside another step. */
export function runStep<R>(
  host: EngineHost,
  activation: Activation,
  fn: (step: StepContext) => Promise<R> | R,
  options: StepOptions = NO_OPTIONS,
  kind: StepKind = 'step',
): Promise<R> {
  const halt = activation.refusal();
  if (halt !== undefined) return halt;
  let name: string;
  let policy: Policy;
  try {
    name = stepName(fn, options);
    policy =
      onlyNamed(options) && onlyNamed(host.stepDefaults) ? ONCE : policyOf(options, host.stepDefaults, name);
  } catch (error) {
    return Promise.reject(error);
  }
  const stepID = activation.takeStepID();
  const row = activation.recorded(stepID, kind, name);
  if (row === 'refused') return new Promise(() => {});
  return new Promise<R>((resolve, reject) => {
    const deliver = (recorded: Recorded) => settle(host, recorded, resolve, reject);
    if (row?.completed) {
      replay(activation, row, deliver);
      return;
    }
    const step = new StepRun(host, activation, fn, { stepID, name, kind, policy, deliver, reject });
    if (row === undefined) step.attempt(1);
    else step.goOn(row.attempts ?? 0, row.error);
  });
}

interface Call {
  stepID: number;
  name: string;
  kind: StepKind;
  policy: Policy;
  deliver: (recorded: Recorded) => void;
  reject: (error: unknown) => void;
}

/** The attempts of one step. */
class StepRun {
  readonly #host: EngineHost;
  readonly #activation: Activation;
  readonly #fn: (step: StepContext) => unknown;
  readonly #call: Call;
  readonly #errors: unknown[] = [];
  #startedAt = 0;
  /** Of the first attempt that this process made. */
  #firstStartedAt: number | undefined;

  constructor(host: EngineHost, activation: Activation, fn: (step: StepContext) => unknown, call: Call) {
    this.#host = host;
    this.#activation = activation;
    this.#fn = fn;
    this.#call = call;
  }

  /** After a crash in an attempt that had begun: it counts. */
  goOn(attempts: number, lastError: string | null): void {
    if (lastError !== null) this.#errors.push(this.#host.codec.decodeError(lastError));
    if (attempts >= this.#call.policy.maxAttempts && this.#call.policy.maxAttempts > 1) {
      this.#fail(
        new MaxStepRetriesError(this.#call.name, this.#errors, this.#activation.workflowID),
        attempts,
      );
    } else this.#begin(attempts + 1);
  }

  attempt(attempt: number): void {
    const { policy, name } = this.#call;
    const activation = this.#activation;
    const renewal = this.#host.lease.renewal();
    if (renewal !== undefined) {
      // Paused for so long that a peer may have run it meanwhile: who owns it is looked up first.
      activation.pending++;
      void renewal.then(() => {
        activation.pending--;
        if (activation.state === 'running') this.attempt(attempt);
        else if (activation.cancellation !== undefined) this.#call.reject(activation.cancellation);
      });
      return;
    }
    const context = new StepContext(activation, this.#call.stepID, attempt, policy.maxAttempts);
    const scope: Scope = { activation, step: context, inTransaction: false, settings: {} };
    let open = true;
    let timer: NodeJS.Timeout | undefined;
    const close = (reason?: unknown): boolean => {
      if (!open) return false;
      open = false;
      clearTimeout(timer);
      activation.running--;
      context.close(reason);
      return true;
    };
    const failed = (error: unknown) => {
      if (!close()) return;
      this.#ended(attempt, error);
      if (context.wasInterruptedBy(error)) {
        this.#settled(attempt, activation.cancellation);
        this.#call.reject(activation.cancellation);
        return;
      }
      this.#failed(error, attempt);
    };
    const succeeded = (value: unknown) => {
      if (!close()) return;
      this.#ended(attempt);
      let text: string | null;
      try {
        text = this.#host.codec.encode(value);
      } catch (error) {
        this.#fail(error, attempt);
        return;
      }
      this.#settled(attempt);
      this.#write(text, null, attempt);
    };
    activation.running++;
    this.#startedAt = performance.now();
    this.#firstStartedAt ??= this.#startedAt;
    const within = this.#started(attempt);
    if (policy.timeoutMs !== undefined) {
      timer = setTimeout(
        () => {
          const error = new StepTimeoutError(name, policy.timeoutMs as number, activation.workflowID);
          if (!close(error)) return;
          this.#ended(attempt, error);
          this.#failed(error, attempt);
        },
        Math.min(policy.timeoutMs, 2 ** 31 - 1),
      );
    }
    let result: unknown;
    try {
      const { storage } = this.#host;
      result =
        within === undefined
          ? storage.run(scope, this.#fn, context)
          : within(() => storage.run(scope, this.#fn, context));
    } catch (error) {
      failed(error);
      return;
    }
    if (typeof (result as PromiseLike<unknown> | null | undefined)?.then === 'function') {
      (result as PromiseLike<unknown>).then(succeeded, failed);
    } else succeeded(result);
  }

  #failed(error: unknown, attempt: number): void {
    const { policy, name } = this.#call;
    if (policy.maxAttempts === 1) {
      this.#fail(error, attempt);
      return;
    }
    this.#errors.push(error);
    if (attempt >= policy.maxAttempts) {
      this.#fail(new MaxStepRetriesError(name, this.#errors, this.#activation.workflowID), attempt);
      return;
    }
    if (policy.shouldRetry === undefined) this.#pause(attempt);
    else {
      Promise.resolve()
        .then(() => policy.shouldRetry?.(error, attempt))
        .then(
          (again) => (again ? this.#pause(attempt) : this.#fail(error, attempt)),
          (thrown: unknown) => this.#fail(thrown, attempt),
        );
    }
  }

  #pause(attempt: number): void {
    const activation = this.#activation;
    if (activation.state !== 'running') {
      this.#settled(attempt, activation.cancellation);
      if (activation.cancellation !== undefined) this.#call.reject(activation.cancellation);
      return;
    }
    const { clock } = this.#host;
    activation.pausing++;
    let unsubscribe = () => {};
    const stop = clock.alarm(clock.now() + this.#call.policy.pauseMs(attempt), () => {
      unsubscribe();
      activation.pausing--;
      if (activation.state === 'running' && !this.#host.draining) this.#begin(attempt + 1);
    });
    unsubscribe = activation.onAbort((reason) => {
      stop();
      activation.pausing--;
      this.#settled(attempt, reason);
      if (activation.state === 'cancelled') this.#call.reject(reason);
    });
  }

  /** Writes that a further attempt begins, then runs it. */
  #begin(attempt: number): void {
    const { stepID, kind, name, policy } = this.#call;
    const activation = this.#activation;
    if (policy.maxAttempts === 1) {
      this.attempt(1);
      return;
    }
    const last = this.#errors.at(-1);
    activation.pending++;
    this.#host.journal.add({
      fenced: { workflowID: activation.workflowID, fence: activation.fence, stepID, seq: null, keep: false },
      step: stepPart({
        kind,
        name,
        attempts: attempt,
        begun: true,
        error: last === undefined ? null : this.#host.codec.encodeError(last),
      }),
      settle: (answer) => {
        activation.pending--;
        if (answer === undefined || answer.outcome === 'written') {
          if (activation.state === 'running') this.attempt(attempt);
        } else if (answer.outcome === 'adopted') {
          const slot = activation.delivery.reserve();
          activation.delivery.resolve(slot, () =>
            this.#call.deliver({ output: answer.output, error: answer.error, outcome: answer.detail }),
          );
        } else refused(this.#host, activation, answer, this.#call.reject);
      },
      fail: (error) => {
        activation.pending--;
        this.#fail(error, attempt);
      },
    });
  }

  #fail(error: unknown, attempt: number): void {
    this.#settled(attempt, error);
    this.#write(null, this.#host.codec.encodeError(error), attempt);
  }

  #write(output: string | null, error: string | null, attempt: number): void {
    const { stepID, kind, name, deliver, reject } = this.#call;
    if (this.#activation.state === 'dead' || this.#activation.state === 'ended') return;
    record(this.#host, {
      activation: this.#activation,
      stepID,
      step: {
        kind,
        name,
        target: null,
        output,
        error,
        childID: null,
        outcome: null,
        attempts: attempt,
        begun: attempt > 1,
        durationMs: performance.now() - this.#startedAt,
      },
      keep: true,
      deliver,
      reject,
    });
  }

  #started(attempt: number): Surroundable['within'] {
    const { events } = this.#host;
    if (!events.has('step.started')) return undefined;
    const event: EngineEvents['step.started'] = this.#event(attempt);
    events.emit('step.started', event);
    return event.within;
  }

  #ended(attempt: number, error?: unknown): void {
    const { events } = this.#host;
    if (events.has('step.ended')) events.emit('step.ended', { ...this.#event(attempt), error });
  }

  /** Nothing is tried any more. */
  #settled(attempt: number, error?: unknown): void {
    const { events } = this.#host;
    if (this.#firstStartedAt === undefined || !events.has('step.settled')) return;
    const durationMs = performance.now() - this.#firstStartedAt;
    events.emit('step.settled', { ...this.#event(attempt), error, durationMs });
  }

  #event(attempt: number): EngineEvents['step.started'] {
    const { stepID, kind, name } = this.#call;
    const { workflowID, workflowName } = this.#activation;
    return { run: this.#activation, workflowID, workflowName, stepID, kind, name, attempt };
  }
}
