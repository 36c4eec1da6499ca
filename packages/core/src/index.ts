// The public API of @pawl/core: a list of exports and nothing else.

export { PawlClient, type PawlClientConfig } from './app/client.ts';
export type { PawlConfig } from './app/config.ts';
export type { DebounceOptions } from './app/debounce.ts';
export type {
  EventInfo,
  ExecutorInfo,
  ForkParams,
  MessageInfo,
  StepInfo,
  WorkflowFilter,
  WorkflowList,
} from './app/management.ts';
export { Pawl } from './app/pawl.ts';
export type { Queue, QueueInfo, QueueOptions } from './app/queues.ts';
export type { JsonValue, WorkflowState, WorkflowStatus } from './app/status.ts';
export type { Schedule, ScheduleInfo, ScheduleOptions } from './app/schedules.ts';
export { defineEvent, defineTopic, type EventKey, type Topic } from './app/topics.ts';
export type { ReadStreamOptions } from './app/streams.ts';
export type { HookOptions, SendOptions } from './app/verbs.ts';
export type { WorkflowHandle } from './app/handles.ts';
export type { SqlClientLike } from './app/sql-client.ts';
export type { RegisterOptions, StartParams, Workflow, WorkflowStart } from './app/workflows.ts';
export type { Duration, Serializer } from './codec/index.ts';
export type { DuplicatePolicy } from './engine/registry.ts';
export type { Hook } from './engine/hooks.ts';
export type { StepContext } from './engine/step-context.ts';
export type { StepOptions, StepRetryOptions } from './engine/steps.ts';
export type { SqlClient, TransactionStepOptions } from './engine/transactions.ts';
export * from './errors/index.ts';
export type { Logger } from './telemetry/logger.ts';
