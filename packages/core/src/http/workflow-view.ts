// Owns what a client may see of its workflow: how far it has come, and what it is told of errors.
// Never the input, the results of steps, or what concerns operators only: a step may have read anything.
import type { StepInfo } from '../app/management.ts';
import type { WorkflowStatus } from '../app/status.ts';
import { problemOfError } from './outcome.ts';

export function workflowView(workflow: WorkflowStatus): Record<string, unknown> {
  const { workflowID, name, status, createdAt, updatedAt, startedAt, completedAt } = workflow;
  const { queueName, recoveryAttempts } = workflow;
  return {
    ...{ workflowID, name, status, createdAt, updatedAt, startedAt, completedAt },
    ...{ queueName, recoveryAttempts },
  };
}

/** An error by the rule of `/result`: its message only if it brings a 4xx status or says that it may be shown. */
export function stepView(step: StepInfo, workflowID: string): Record<string, unknown> {
  const { stepID, kind, name, attempts, startedAt, completedAt, childWorkflowID } = step;
  const { code, detail } = problemOfError(step.error, workflowID);
  return {
    ...{ stepID, kind, name, attempts, startedAt, completedAt },
    // Of a workflow that is merely waited for nothing is known here: it may be somebody else's.
    childWorkflowID: kind === 'getResult' ? null : childWorkflowID,
    error: step.error === null ? null : { code, message: detail },
  };
}
