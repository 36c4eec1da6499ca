// Owns the errors about a workflow as a whole: its id, its outcome, its place in a queue.
// Never says anything about a single step (steps.ts).
import { named, PawlError } from './pawl-error.ts';
import { quote } from './wording.ts';

/**
 * The id belongs to another workflow already, which is left untouched.
 *
 * @example
 * await pawl.startWorkflow(checkout, { workflowID: 'order-1' })(order);
 * await pawl.startWorkflow(refund, { workflowID: 'order-1' })(order); // rejects with WorkflowConflictError
 */
export class WorkflowConflictError extends PawlError {
  static {
    named(this, 'WorkflowConflictError');
  }
  readonly code = 'PAWL_WORKFLOW_CONFLICT';
  readonly retryable = false;
  readonly workflowID: string;
  readonly existingName: string;
  readonly requestedName: string;

  constructor(workflowID: string, existingName: string, requestedName: string) {
    super(
      existingName === requestedName
        ? `Workflow id ${quote(workflowID)} is taken by a ${quote(existingName)} that somebody else started, so it ` +
            `cannot become a child of this workflow. Choose another workflowID for the child, or leave it out.`
        : `Workflow id ${quote(workflowID)} is taken by a ${quote(existingName)}; a ${quote(requestedName)} cannot be ` +
            `started under it. Choose another workflowID, for example with the name of the workflow in it.`,
    );
    this.workflowID = workflowID;
    this.existingName = existingName;
    this.requestedName = requestedName;
  }
}

/**
 * The `duplicatePolicy` of the call refuses an id that is in use: `'reject'` always does (reason `'exists'`),
 * `'reject-if-different'` does when the input differs (reason `'different-input'`).
 *
 * @example
 * const start = pawl.startWorkflow(checkout, { workflowID: 'order-1', duplicatePolicy: 'reject' });
 * await start(order);
 * await start(order); // rejects with WorkflowIDInUseError
 */
export class WorkflowIDInUseError extends PawlError {
  static {
    named(this, 'WorkflowIDInUseError');
  }
  readonly code = 'PAWL_WORKFLOW_ID_IN_USE';
  readonly retryable = false;
  readonly workflowID: string;
  readonly reason: 'exists' | 'different-input';

  constructor(workflowID: string, reason: 'exists' | 'different-input') {
    super(
      reason === 'exists'
        ? `Workflow ${quote(workflowID)} exists already, and duplicatePolicy is 'reject'. ` +
            `Use pawl.retrieveWorkflow() to get at it, or another workflowID.`
        : `Workflow ${quote(workflowID)} exists already with another input, and duplicatePolicy is ` +
            `'reject-if-different'. Use another workflowID for another input.`,
    );
    this.workflowID = workflowID;
    this.reason = reason;
  }
}

/**
 * No workflow has this id, and the call needs one.
 *
 * @example
 * await pawl.send('no-such-id', 'hello'); // rejects with NonExistentWorkflowError
 */
export class NonExistentWorkflowError extends PawlError {
  static {
    named(this, 'NonExistentWorkflowError');
  }
  readonly code = 'PAWL_NON_EXISTENT_WORKFLOW';
  readonly retryable = false;
  readonly workflowID: string;

  constructor(workflowID: string) {
    super(
      `Workflow ${quote(workflowID)} does not exist. Check the id; to send to a workflow that has yet to start, ` +
        `use send(…, { onMissing: 'park' }).`,
    );
    this.workflowID = workflowID;
  }
}

/**
 * The workflow was cancelled. Thrown inside it by the next durable operation, and by `getResult()` of its handle.
 * Let it pass: code that catches it and goes on only meets it again.
 *
 * @example
 * await pawl.cancelWorkflow(handle.workflowID);
 * await handle.getResult(); // rejects with WorkflowCancelledError
 */
export class WorkflowCancelledError extends PawlError {
  static {
    named(this, 'WorkflowCancelledError');
  }
  readonly code: 'PAWL_WORKFLOW_CANCELLED' | 'PAWL_WORKFLOW_TIMEOUT' = 'PAWL_WORKFLOW_CANCELLED';
  readonly retryable = false;
  readonly workflowID: string;

  constructor(workflowID: string, message?: string) {
    super(
      message ??
        `Workflow ${quote(workflowID)} was cancelled. To let it go on from its last completed step, use ` +
          `pawl.resumeWorkflow(${quote(workflowID)}).`,
    );
    this.workflowID = workflowID;
  }
}

/**
 * The workflow was cancelled because it did not end before its deadline.
 *
 * @example
 * const handle = await pawl.startWorkflow(checkout, { timeout: '1m' })(order);
 * await handle.getResult(); // rejects with WorkflowTimeoutError after a minute
 */
export class WorkflowTimeoutError extends WorkflowCancelledError {
  static {
    named(this, 'WorkflowTimeoutError');
  }
  override readonly code = 'PAWL_WORKFLOW_TIMEOUT';

  constructor(workflowID: string) {
    super(
      workflowID,
      `Workflow ${quote(workflowID)} ran past its timeout and was cancelled. Give it a longer timeout, or start it ` +
        `with { timeout: null } so that it does not inherit the deadline of its parent.`,
    );
  }
}

/**
 * The workflow that this workflow waits for was cancelled. The waiting one is not: it may catch this and go on.
 *
 * @example
 * try {
 *   await child.getResult();
 * } catch (error) {
 *   if (error instanceof AwaitedWorkflowCancelledError) await pawl.runStep(undo);
 * }
 */
export class AwaitedWorkflowCancelledError extends PawlError {
  static {
    named(this, 'AwaitedWorkflowCancelledError');
  }
  readonly code = 'PAWL_AWAITED_WORKFLOW_CANCELLED';
  readonly retryable = false;
  /** The cancelled workflow, not the one that waited for it. */
  readonly workflowID: string;

  constructor(workflowID: string) {
    super(
      `Workflow ${quote(workflowID)} was cancelled while another workflow waited for its result. ` +
        `Catch this error to go on without the result.`,
    );
    this.workflowID = workflowID;
  }
}

/**
 * Processes died while they ran this workflow, more often than `maxRecoveryAttempts` allows; it is no longer tried.
 *
 * @example
 * await handle.getResult(); // rejects with MaxRecoveryAttemptsExceededError
 * await pawl.resumeWorkflow(handle.workflowID); // once the cause is fixed
 */
export class MaxRecoveryAttemptsExceededError extends PawlError {
  static {
    named(this, 'MaxRecoveryAttemptsExceededError');
  }
  readonly code = 'PAWL_MAX_RECOVERY_ATTEMPTS_EXCEEDED';
  readonly retryable = false;
  readonly workflowID: string;
  readonly attempts: number;

  constructor(workflowID: string, attempts: number) {
    super(
      `Workflow ${quote(workflowID)} was given up: ${attempts} recovery ${attempts === 1 ? 'attempt' : 'attempts'} ended ` +
        `with the death of the process. Find out what kills it, then pawl.resumeWorkflow(${quote(workflowID)}).`,
    );
    this.workflowID = workflowID;
    this.attempts = attempts;
  }
}

/**
 * An unfinished workflow of this queue has the same `deduplicationID`. The call succeeds once that one has finished.
 *
 * @example
 * const params = { queueName: 'sync', deduplicationID: 'customer-7' };
 * await pawl.startWorkflow(sync, params)();
 * await pawl.startWorkflow(sync, params)(); // rejects with QueueDuplicatedError
 */
export class QueueDuplicatedError extends PawlError {
  static {
    named(this, 'QueueDuplicatedError');
  }
  readonly code = 'PAWL_QUEUE_DUPLICATED';
  readonly retryable = true;
  readonly workflowID: string;
  readonly queueName: string;
  readonly deduplicationID: string;
  /** The one that has it; null if it ended at that moment. */
  readonly existingWorkflowID: string | null;

  constructor(
    workflowID: string,
    queueName: string,
    deduplicationID: string,
    existingWorkflowID: string | null = null,
  ) {
    super(
      `Workflow ${quote(workflowID)} was not started: queue ${quote(queueName)} has an unfinished workflow with ` +
        `deduplicationID ${quote(deduplicationID)}${existingWorkflowID === null ? '' : `, ${quote(existingWorkflowID)}`}. ` +
        'Try again when that one has finished.',
    );
    this.existingWorkflowID = existingWorkflowID;
    this.workflowID = workflowID;
    this.queueName = queueName;
    this.deduplicationID = deduplicationID;
  }
}
