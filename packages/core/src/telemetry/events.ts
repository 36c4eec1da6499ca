// What happens in Pawl, as one typed map. Tracing, metrics, the logger and the test kit subscribe; engine, worker and
// http emit, and know none of them. Listeners run synchronously and must not throw. Without a listener an event costs
// one look: whoever emits asks `has` before it makes the event's object.

/** A run of a workflow in this process, from its claim to its end: the same object in all events of the run. */
export interface RunInfo {
  readonly workflowID: string;
  readonly workflowName: string;
  /** When the workflow began, maybe in an earlier run. Milliseconds, by the database's clock. */
  readonly startedAt: number;
  /** false while the body repeats what an earlier run may have done, up to its first call that is not recorded. */
  readonly live: boolean;
}

/** A listener may put a function here that calls what it is given, within a context of its own. */
export interface Surroundable {
  within?: (<T>(fn: () => T) => T) | undefined;
}

/** A listener may put a text here, which is stored with what is about to be written, and comes back with it. */
interface Traceable {
  trace?: string | undefined;
}

interface StepEvent {
  run: RunInfo;
  workflowID: string;
  workflowName: string;
  stepID: number;
  kind: string;
  name: string;
  /** Counts from 1, over crashes too. */
  attempt: number;
}

/** A start that is about to be written. The same object in both of its events. */
export interface StartEvent extends Traceable {
  workflowID: string;
  workflowName: string;
  /** The run that starts it as a child. */
  parent: RunInfo | undefined;
  /** This process runs it, if the start is the first of its id. */
  here: boolean;
  /** In the second event. 'existing': the id was there, and the caller gets that workflow. */
  outcome?: 'started' | 'existing' | 'failed';
  error?: unknown;
}

/** A message that is about to be written. The same object in both of its events. */
export interface SendEvent extends Traceable {
  /** The run that sends it; undefined from outside. */
  run: RunInfo | undefined;
  destination: string;
  /** '' for none. */
  topic: string;
  /** In the second event, if it could not be sent. */
  error?: unknown;
}

/** A request that one of Pawl's routes or middlewares takes. The same object in both of its events. */
export interface RequestEvent extends Surroundable {
  kind: 'api' | 'webhook';
  method: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The route as it was declared, with its parameters' names. Known for sure in the second event. */
  readonly route: string | undefined;
  /** In the second event: of the response; 0 if the client had gone before there was one. */
  status: number;
}

export interface EngineEvents {
  /** A statement goes to the database, transaction control included. */
  statement: { text: string };

  'workflow.starting': StartEvent;
  /** The start is durable, or was refused. */
  'workflow.started': StartEvent;
  /**
   * A run begins: the first one, or one that replays what another recorded. `trace` is the text that was stored with the
   * workflow; what a listener puts in its place is stored for the next run.
   */
  'workflow.activated': Surroundable &
    Traceable & {
      run: RunInfo;
      workflowID: string;
      workflowName: string;
      /** Set if this process started it just now. */
      start: StartEvent | undefined;
      /** It ran before, here or elsewhere. */
      rerun: boolean;
      /** How often its process died. */
      deaths: number;
      /** Results that are replayed. */
      recordedSteps: number;
    };
  /** The end is durable. A cancellation is an end, too: `error` says which. */
  'workflow.ended': {
    run: RunInfo;
    workflowID: string;
    workflowName: string;
    status: string;
    /** From the begin of its first run, waits included. */
    durationMs: number;
    error?: unknown;
  };
  /** Left memory until something that it waits for happens. */
  'workflow.parked': { run: RunInfo; workflowID: string; workflowName: string };
  /** Goes on in another process, or not at all. */
  'workflow.left': { run: RunInfo; why: 'superseded' | 'deleted' | 'handed over' };
  /** `run` and `error` are there if it was running; else it was due, and nobody serves it. */
  'workflow.blocked': {
    run?: RunInfo;
    workflowID: string;
    workflowName: string;
    reason: string;
    error?: unknown;
  };

  /** A function of a step or transaction is about to run. */
  'step.started': StepEvent & Surroundable;
  /** It returned or threw; nothing is durable yet. */
  'step.ended': StepEvent & { error?: unknown };
  /** No further attempt follows: the result is on its way to the journal, or the step was interrupted. */
  'step.settled': StepEvent & { error?: unknown; durationMs: number };

  'message.sending': SendEvent;
  /** The message is durable, or was refused. */
  'message.sent': SendEvent;
  /** A `recv` that was not replayed is through. `trace` is that of its message; undefined if it timed out. */
  'message.received': Traceable & {
    run: RunInfo;
    topic: string;
    timedOut: boolean;
    /** When this run began to wait. Milliseconds of the epoch, by this machine's clock. */
    since: number;
  };

  /** Operations are about to be sent: nothing of them is durable. */
  'journal.flushing': { operations: readonly JournalEntry[] };
  /** They are durable; nobody has been told. */
  'journal.flushed': { operations: readonly JournalEntry[] };
  /** The same, as numbers. */
  'journal.measured': { operations: number; durationMs: number };
  /** A transaction step wrote its checkpoint and is about to commit, or has. */
  'transaction.committing': StepEvent;
  'transaction.committed': StepEvent;

  /** This process took over what a dead one ran. */
  'executor.takeover': { executor: number; workflows: number };
  'executor.lost': { executor: number };

  /** What an operator should know, and no other event says. `details`: what a program could filter by. */
  remark: {
    level: 'debug' | 'info' | 'warn' | 'error';
    text: string;
    workflowID?: string;
    error?: unknown;
    details?: Readonly<Record<string, unknown>>;
  };

  'request.received': RequestEvent;
  /** The response is through, or its client has gone. */
  'request.answered': RequestEvent;
  /** An Idempotency-Key was looked up: new, retried, taken-over, in-flight, replayed or reused (for another request). */
  'request.keyed': { outcome: string };
  /** accepted, duplicate, ignored, finished, or the code of the problem that the sender was told. */
  'webhook.answered': { name: string; outcome: string };
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
