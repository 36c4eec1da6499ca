// Owns the errors about one step of a workflow, and about waits.
// Never says anything about a workflow's own outcome (workflows.ts).
import { named, PawlError } from './pawl-error.ts';
import { ofWorkflow, quote } from './wording.ts';

/**
 * A step with `retriesAllowed` failed as often as `maxAttempts` allows. `errors` has what each attempt threw, in
 * order; `cause` is the last of them.
 *
 * @example
 * try {
 *   await pawl.runStep(charge, { retriesAllowed: true, maxAttempts: 5 });
 * } catch (error) {
 *   if (error instanceof MaxStepRetriesError) console.error(error.errors.length); // 5
 * }
 */
export class MaxStepRetriesError extends PawlError {
  static {
    named(this, 'MaxStepRetriesError');
  }
  readonly code = 'PAWL_MAX_STEP_RETRIES';
  readonly retryable = false;
  readonly stepName: string;
  readonly errors: readonly unknown[];

  constructor(stepName: string, errors: readonly unknown[], workflowID?: string) {
    const last = errors.at(-1);
    const reason = last instanceof Error ? last.message : typeof last === 'string' ? last : undefined;
    super(
      `Step ${quote(stepName)}${ofWorkflow(workflowID)} failed ${errors.length} ${errors.length === 1 ? 'time' : 'times'} ` +
        `and is not tried again${reason === undefined ? '' : `; the last error was: ${reason}`}`,
      last === undefined ? undefined : { cause: last },
    );
    this.stepName = stepName;
    this.errors = errors;
  }
}

/**
 * One attempt of a step took longer than its `timeout`. Its signal was aborted, and what it still returns is dropped.
 *
 * @example
 * await pawl.runStep(({ signal }) => fetch(url, { signal }), { timeout: '2s' }); // rejects with StepTimeoutError
 */
export class StepTimeoutError extends PawlError {
  static {
    named(this, 'StepTimeoutError');
  }
  readonly code = 'PAWL_STEP_TIMEOUT';
  readonly retryable = true;
  readonly stepName: string;
  readonly timeoutMs: number;

  constructor(stepName: string, timeoutMs: number, workflowID?: string) {
    super(
      `Step ${quote(stepName)}${ofWorkflow(workflowID)} did not end within its timeout of ${timeoutMs} ms. ` +
        `Give it a longer timeout, or retriesAllowed; hand step.signal on so that the work stops as well.`,
    );
    this.stepName = stepName;
    this.timeoutMs = timeoutMs;
  }
}

/** What identifies an operation of a workflow: replay compares all three. */
export interface OperationIdentity {
  /** Kind of operation: `step`, `transaction`, `sleep`, `recv`, `child`, … */
  readonly kind: string;
  /** Name of the step or the workflow. */
  readonly name?: string | null | undefined;
  /** What it is about: the child workflow, the topic, the key. */
  readonly target?: string | null | undefined;
}

/** Both sides of a replay that went apart; one of them is null where only the other exists. */
export interface NonDeterminism {
  readonly workflowID: string;
  readonly workflowName: string;
  readonly stepID: number;
  /** What the journal has at this step; null when the code goes on past what the journal allows. */
  readonly recorded: OperationIdentity | null;
  /** What the code asks for; null when it never asked for what the journal has. */
  readonly called: OperationIdentity | null;
}

/**
 * On replay the workflow did something else than what its journal has. The code has changed under a running workflow,
 * or it depends on something that is not recorded (clock, random numbers, a global). The workflow stays PENDING and
 * blocked; nothing of it is lost, and a fixed deploy goes on with it.
 *
 * @example
 * const status = await pawl.getWorkflowStatus(id);
 * console.error(status?.blocked); // both sides: recorded step "charge", called step "reserve"
 */
export class NonDeterminismError extends PawlError implements NonDeterminism {
  static {
    named(this, 'NonDeterminismError');
  }
  readonly code = 'PAWL_NON_DETERMINISM';
  readonly retryable = false;
  readonly workflowID: string;
  readonly workflowName: string;
  readonly stepID: number;
  readonly recorded: OperationIdentity | null;
  readonly called: OperationIdentity | null;

  constructor({ workflowID, workflowName, stepID, recorded, called }: NonDeterminism) {
    super(
      `Workflow ${quote(workflowID)} (${workflowName}) does not replay as it was recorded. At step ${stepID} the journal has ` +
        `${recorded === null ? 'nothing' : describe(recorded)}, but the code ` +
        `${called === null ? 'never called it' : `called ${describe(called)}`}. ` +
        `Deploy code that makes the recorded calls in the recorded order (pawl.patch() guards a change); ` +
        `read clocks and random numbers through pawl.now(), pawl.randomUUID() or a step.`,
    );
    this.workflowID = workflowID;
    this.workflowName = workflowName;
    this.stepID = stepID;
    this.recorded = recorded;
    this.called = called;
  }
}

function describe({ kind, name, target }: OperationIdentity): string {
  const on = target === undefined || target === null ? '' : ` for ${quote(target)}`;
  return `${kind}${name === undefined || name === null ? '' : ` ${quote(name)}`}${on}`;
}

/**
 * The caller's patience ended before what it waited for came. What was waited for goes on; waiting again is fine.
 *
 * @example
 * await handle.getResult({ timeoutSeconds: 5 }); // rejects with TimeoutError, the workflow runs on
 */
export class TimeoutError extends PawlError {
  static {
    named(this, 'TimeoutError');
  }
  readonly code = 'PAWL_TIMEOUT';
  readonly retryable = true;

  constructor(message: string) {
    super(message);
  }
}

/**
 * This workflow has closed the stream: nothing can be written behind its end. A run after a crash gets this error again.
 *
 * @example
 * await pawl.closeStream('tokens');
 * await pawl.writeStream('tokens', 'one more'); // rejects with StreamClosedError
 */
export class StreamClosedError extends PawlError {
  static {
    named(this, 'StreamClosedError');
  }
  readonly code = 'PAWL_STREAM_CLOSED';
  readonly retryable = false;
  readonly workflowID: string;
  /** Of the stream. */
  readonly key: string;

  constructor(key: string, workflowID: string) {
    super(
      `Nothing was written to stream ${quote(key)}${ofWorkflow(workflowID)}: the workflow has closed it. ` +
        `Call closeStream() behind the last value, or write to another key.`,
    );
    this.workflowID = workflowID;
    this.key = key;
  }
}

/**
 * Somebody rejected the hook (capability URL) that this workflow waits for in `recv()`.
 *
 * @example
 * try {
 *   await pawl.recv('approval', Infinity);
 * } catch (error) {
 *   if (error instanceof HookRejectedError) return refuse(error.reason);
 *   throw error;
 * }
 */
export class HookRejectedError extends PawlError {
  static {
    named(this, 'HookRejectedError');
  }
  readonly code = 'PAWL_HOOK_REJECTED';
  readonly retryable = false;
  readonly topic: string;
  /** What the rejecting request had as its body. */
  readonly reason: unknown;

  constructor(topic: string, reason?: unknown, workflowID?: string) {
    super(
      `The hook for topic ${quote(topic)}${ofWorkflow(workflowID)} was rejected${typeof reason === 'string' ? `: ${reason}` : ''}. ` +
        `Catch this error around recv() to handle the refusal.`,
    );
    this.topic = topic;
    this.reason = reason;
  }
}
