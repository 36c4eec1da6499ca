// What passes between processes, callers and the schedule.
import type { Answer, Operation, QueuedPart, StartPart } from '../../packages/core/src/store/operations.ts';
import type { Random } from '../determinism/random.ts';
import type { Side } from './connections.ts';
import type { Oracle, Span } from './oracle.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** One statement: `seen` by the oracle whatever becomes of its answer, which either `settle`s or is lost. */
export interface Task {
  readonly by: Process | undefined;
  /** Goes over the one connection that is not the journal's. */
  readonly control?: boolean;
  readonly label: string;
  /** What it deleted: others of the same moment may not have seen it any more. */
  forgets?(answer: unknown): string[];
  work(side: Side): Promise<unknown>;
  sent?(at: number): void;
  seen(answer: unknown, span: Span): void;
  settle(answer: unknown): void;
  /** No answer: it may have happened, or not. */
  lose(): void;
}

/** An operation that was sent, or will be sent again: its first sending counts. */
export interface Pending {
  readonly operation: Operation;
  readonly label: string;
  sent?: number;
  seen(answer: Answer | undefined, span: Span): void;
  settle(answer: Answer | undefined): void;
}

/** An operation that may be sent. It is in order with what has the same keys. */
export interface Offer {
  readonly keys: readonly string[];
  make(): Pending;
}

/** What all processes of a schedule share. */
export interface Shared {
  readonly random: Random;
  readonly world: World;
  readonly oracle: Oracle;
  readonly lockClass: number;
  readonly maxAttempts: number;
  /** Milliseconds that the schedule let pass. */
  now(): number;
  /** Of the schedule: what happened when. */
  stamp(): number;
  readonly processes: Process[];
  startPart(id: string, extra: Record<string, unknown>, queued?: QueuedPart): StartPart;
}
