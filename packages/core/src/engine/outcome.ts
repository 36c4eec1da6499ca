// How a workflow ended, as a row, and what that means for the one who waits for it.

import type { Codec } from '../codec/index.ts';
import {
  AwaitedWorkflowCancelledError,
  MaxRecoveryAttemptsExceededError,
  TimeoutError,
  WorkflowTimeoutError,
} from '../errors/index.ts';

export interface Outcome {
  /** SUCCESS, ERROR, CANCELLED, MAX_RECOVERY_ATTEMPTS_EXCEEDED; 'timeout': the wait ended, not the workflow. */
  status: string;
  output: string | null;
  error: string | null;
}

/** The value, or throws what the awaited workflow's end means. */
export function readOutcome(codec: Codec, workflowID: string, outcome: Outcome): unknown {
  switch (outcome.status) {
    case 'SUCCESS':
      return codec.decode(outcome.output);
    case 'ERROR':
      throw codec.decodeError(outcome.error ?? '');
    case 'CANCELLED':
      throw outcome.error === null
        ? new AwaitedWorkflowCancelledError(workflowID)
        : new WorkflowTimeoutError(workflowID);
    case 'timeout':
      throw new TimeoutError(
        `Workflow "${workflowID}" did not end within the time that getResult() was given. It goes on.`,
      );
    default:
      throw new MaxRecoveryAttemptsExceededError(workflowID, 0);
  }
}
