// What the parts of the engine share: the services that `app` wires together, and the few things that must travel
// from an activation to the engine that runs it.

import type { Codec } from '../codec/index.ts';
import type { Database } from '../store/database.ts';
import type { AnswerPart, EndPart, QueuedPart } from '../store/operations.ts';
import type { Emitter, StartEvent } from '../telemetry/events.ts';
import type { Activation } from './activation.ts';
import type { DatabaseClock } from './clock.ts';
import type { Turns } from './delivery.ts';
import type { Journal } from './journal.ts';
import type { Lease } from './lease.ts';
import type { Outcome } from './outcome.ts';
import type { Registry } from './registry.ts';
import type { ScopeStorage } from './scope-storage.ts';
import type { Slots } from './slots.ts';
import type { StepRetryOptions } from './steps.ts';
import type { WaitIndex } from './waits.ts';

/** Where a run comes from, for those who watch. */
export interface RunOrigin {
  start?: StartEvent | undefined;
  rerun?: boolean;
  deaths?: number;
  trace?: string | undefined;
}

/** A request of this process that waits for the end of a workflow which it started, and wants its answer recorded with it. */
export interface EndingRequest {
  /** At once, and never rejects. undefined: it records the answer itself. */
  answer(end: EndPart): Promise<AnswerPart | undefined>;
  /** The end is, and the answer too if it is `recorded`. Not called for an end that was refused. */
  durable(recorded: boolean): void;
}

export interface EngineHost {
  readonly storage: ScopeStorage;
  readonly codec: Codec;
  readonly database: Database;
  readonly journal: Journal;
  readonly events: Emitter;
  readonly clock: DatabaseClock;
  readonly lease: Lease;
  readonly registry: Registry;
  readonly turns: Turns;
  readonly waits: WaitIndex;
  readonly activations: Map<string, Activation>;
  readonly slots: Slots;
  /** By workflow. */
  readonly endingRequests: Map<string, EndingRequest>;
  readonly stepDefaults: StepRetryOptions;
  readonly parkAfterMs: number;
  /** The number of the incarnation. */
  executor: number;
  /** Shutting down: no durable call begins any more, running steps finish. */
  draining: boolean;
  /** Begins the body of a workflow that this process owns. Returns a trace to be kept for its next run. */
  run(activation: Activation, input: string | null, origin?: RunOrigin): string | undefined;
  /** The end of a workflow is durable. */
  finished(activation: Activation, outcome: Outcome): void;
  /** This process does not run it any more; it goes on elsewhere, or not at all. */
  gone(activation: Activation, why: 'superseded' | 'parked' | 'deleted' | 'handed over'): void;
  cancelled(activation: Activation): void;
  block(activation: Activation, reason: Error): void;
  /** Makes a parked workflow due at once. */
  rouse(workflowID: string): void;
  /** A start that somebody is to claim is durable. */
  queued(part: QueuedPart): void;
  /** A value of an event is durable. */
  eventSet(workflowID: string, key: string, value: string | null): void;
  /** An entry of a stream is durable. */
  streamWritten(workflowID: string, key: string): void;
}
