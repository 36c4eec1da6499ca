// The engine's events: one typed map. Logging, tracing and the test kit subscribe; the engine knows none of them.
// Listeners run synchronously and must not throw; without listeners an event costs one look.

interface StepEvent {
  workflowID: string;
  workflowName: string;
  stepID: number;
  kind: string;
  name: string;
  attempt: number;
}

export interface EngineEvents {
  /** A statement goes to the database, transaction control included. */
  statement: { text: string };
  /** A function of a step or transaction is about to run. */
  'step.started': StepEvent;
  /** It returned or threw; nothing is durable yet. */
  'step.ended': StepEvent & { error?: unknown };
  /** Operations are about to be sent: nothing of them is durable. */
  'journal.flushing': { operations: readonly JournalEntry[] };
  /** They are durable; nobody has been told. */
  'journal.flushed': { operations: readonly JournalEntry[] };
  /** A transaction step wrote its checkpoint and is about to commit, or has. */
  'transaction.committing': StepEvent;
  'transaction.committed': StepEvent;
  /** An activation begins: a first run, or a replay of what another one recorded. */
  'workflow.activated': { workflowID: string; workflowName: string; recordedSteps: number };
  'workflow.ended': { workflowID: string; workflowName: string; status: string; error?: unknown };
  /** Left memory until something that it waits for happens. */
  'workflow.parked': { workflowID: string; workflowName: string };
  'workflow.blocked': { workflowID: string; workflowName: string; reason: string };
  /** This process took over what a dead one ran. */
  'executor.takeover': { executor: number; workflows: number };
  'executor.lost': { executor: number };
}

/** What an operation of the journal is, for listeners. */
export interface JournalEntry {
  readonly workflowID: string;
  /** start, end, park, message, or the kind of the step. */
  readonly kind: string;
  readonly name: string | null;
}

type Listener<E> = (event: E) => void;

export interface Emitter {
  /** Returns what takes the listener away again. */
  on<K extends keyof EngineEvents>(name: K, listener: Listener<EngineEvents[K]>): () => void;
  has(name: keyof EngineEvents): boolean;
  emit<K extends keyof EngineEvents>(name: K, event: EngineEvents[K]): void;
}

export function createEmitter(): Emitter {
  const listeners = new Map<keyof EngineEvents, Set<Listener<never>>>();
  return {
    on: (name, listener) => {
      let set = listeners.get(name);
      if (set === undefined) listeners.set(name, (set = new Set()));
      set.add(listener);
      return () => {
        set.delete(listener);
        if (set.size === 0) listeners.delete(name);
      };
    },
    has: (name) => listeners.has(name),
    emit: (name, event) => {
      const set = listeners.get(name);
      if (set !== undefined) for (const listener of set) (listener as Listener<typeof event>)(event);
    },
  };
}
