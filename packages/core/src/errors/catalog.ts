// Owns the list of all errors that Pawl throws, for whoever must treat them alike (storing, documenting, HTTP).
// Never defines one.
import { DatabaseUnavailableError, SerializationError, ValidationError } from './data.ts';
import type { PawlError } from './pawl-error.ts';
import {
  HookRejectedError,
  MaxStepRetriesError,
  NonDeterminismError,
  StepTimeoutError,
  StreamClosedError,
  TimeoutError,
} from './steps.ts';
import {
  ConfigurationError,
  InStepError,
  NotInWorkflowError,
  NotLaunchedError,
  NotRegisteredError,
  UnknownQueueError,
} from './usage.ts';
import {
  AwaitedWorkflowCancelledError,
  MaxRecoveryAttemptsExceededError,
  NonExistentWorkflowError,
  QueueDuplicatedError,
  WorkflowCancelledError,
  WorkflowConflictError,
  WorkflowIDInUseError,
  WorkflowTimeoutError,
} from './workflows.ts';

/** Every concrete error class of Pawl under its public name. */
export const errorCatalog: Readonly<Record<string, abstract new (...args: never[]) => PawlError>> = {
  AwaitedWorkflowCancelledError,
  ConfigurationError,
  DatabaseUnavailableError,
  HookRejectedError,
  InStepError,
  MaxRecoveryAttemptsExceededError,
  MaxStepRetriesError,
  NonDeterminismError,
  NonExistentWorkflowError,
  NotInWorkflowError,
  NotLaunchedError,
  NotRegisteredError,
  QueueDuplicatedError,
  SerializationError,
  StepTimeoutError,
  StreamClosedError,
  TimeoutError,
  UnknownQueueError,
  ValidationError,
  WorkflowCancelledError,
  WorkflowConflictError,
  WorkflowIDInUseError,
  WorkflowTimeoutError,
};
