// Owns the list of what this folder offers. Never holds code.
export { errorCatalog } from './catalog.ts';
export { DatabaseUnavailableError, SerializationError, ValidationError } from './data.ts';
export { PawlError } from './pawl-error.ts';
export {
  HookRejectedError,
  MaxStepRetriesError,
  type NonDeterminism,
  NonDeterminismError,
  type OperationIdentity,
  StepTimeoutError,
  StreamClosedError,
  TimeoutError,
} from './steps.ts';
export {
  ConfigurationError,
  InStepError,
  NotInWorkflowError,
  NotLaunchedError,
  NotRegisteredError,
  UnknownQueueError,
} from './usage.ts';
export {
  AwaitedWorkflowCancelledError,
  MaxRecoveryAttemptsExceededError,
  NonExistentWorkflowError,
  QueueDuplicatedError,
  WorkflowCancelledError,
  WorkflowConflictError,
  WorkflowIDInUseError,
  WorkflowTimeoutError,
} from './workflows.ts';
