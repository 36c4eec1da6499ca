// The vocabulary of the journal: what one durable operation of a workflow, or of a caller, writes. Several parts
// of one operation (a child's start and the step that records it) stand or fall together.

/** What an operation came to. `undefined` in place of an answer means: written. */
export interface Answer {
  outcome:
    | 'written'
    | 'adopted'
    | 'kept'
    | 'cancelled'
    | 'superseded'
    | 'ended'
    | 'deleted' // fenced writes
    | 'unrecorded' // ends: written, but not the answer to a request
    | 'exists'
    | 'started' // starts
    | 'unknown-queue'
    | 'no-partition'
    | 'not-partitioned'
    | 'duplicate' // starts in queues
    | 'missing' // messages
    | 'set' // events that may be set once
    | 'closed' // what follows the end of a stream
    | 'wait'
    | 'value' // waits
    | 'ready'; // parks
  output: string | null;
  error: string | null;
  detail: string | null;
  at: number | null;
}

/** The running workflow in whose name an operation is written. */
interface Fenced {
  workflowID: string;
  fence: number;
  stepID: number | null;
  seq: number | null;
  /** A completed step is recorded even if the workflow was cancelled meanwhile. */
  keep: boolean;
}

export interface StartPart {
  workflowID: string;
  nonce: string;
  fence: number;
  name: string;
  version: string | null;
  input: string | null;
  /** The caller chose the id, so somebody may have it. */
  chosen: boolean;
  /** JSON with timeout, deadline, parent, priority, user, roles, attributes. */
  extra: string | null;
  /** It is not begun by who starts it: somebody claims it. */
  queued?: QueuedPart;
  /** Kept with the row for those who claim it. */
  trace?: string | undefined;
}

/** All null: it is claimed at once. */
export interface QueuedPart {
  queue: string | null;
  priority: number | null;
  partitionKey: string | null;
  deduplicationID: string | null;
  /** Milliseconds from the commit. */
  delayMs: number | null;
}

export type StepKind =
  | 'step'
  | 'transaction'
  | 'sleep'
  | 'setEvent'
  | 'getEvent'
  | 'send'
  | 'recv'
  | 'start'
  | 'getResult'
  | 'now'
  | 'randomUUID'
  | 'call'
  | 'debounce'
  | 'patch'
  | 'createHook'
  | 'writeStream'
  | 'closeStream'
  | 'readStream';

/** `seq` of the fence null: an attempt that begins; else a completed step. */
export interface StepPart {
  kind: StepKind;
  name: string | null;
  target: string | null;
  output: string | null;
  error: string | null;
  childID: string | null;
  outcome: string | null;
  attempts: number | null;
  /** It has a row already: a wait, or an earlier attempt. */
  begun: boolean;
  durationMs: number | null;
}

interface EventPart {
  key: string;
  value: string | null;
  once: boolean;
}

/** Appended to a stream. */
interface EntryPart {
  key: string;
  value: string | null;
  /** No value, but the end of the stream. */
  closed: boolean;
}

export interface MessagePart {
  destination: string;
  id: string;
  topic: string;
  body: string | null;
  sender: string | null;
  park: boolean;
  /** Given to whoever receives it. */
  trace?: string | undefined;
}

/** A capability URL. */
interface HookPart {
  tokenHash: string;
  topic: string;
  /** Milliseconds from the commit; null: as long as its workflow runs. */
  ttlMs: number | null;
}

export interface EndPart {
  status: 'SUCCESS' | 'ERROR';
  output: string | null;
  error: string | null;
}

export interface WaitPart {
  kind: 'recv' | 'getEvent' | 'getResult' | 'sleep';
  name: string | null;
  target: string | null;
  /** Milliseconds from the first time; null: for ever. */
  timeoutMs: number | null;
}

/** The answer to the request whose key the workflow stands for (sql/0003_http.sql), from the claim that started it. */
export interface AnswerPart {
  id: string;
  owner: string;
  generation: number;
  attempt: number;
  retentionMs: number;
  status: number;
  headers: string;
  /** Hexadecimal. */
  body: string;
}

export interface Operation {
  fenced?: Fenced;
  start?: StartPart;
  step?: StepPart;
  event?: EventPart;
  entry?: EntryPart;
  message?: MessagePart;
  hook?: HookPart;
  end?: EndPart;
  /** Recorded with `end`, if nobody has recorded another one. */
  answer?: AnswerPart | undefined;
  wait?: WaitPart;
  /** Ids that the workflow waits for: their rows are locked too. */
  park?: readonly string[];
}

/** What a flush says beside the answers: work for the caller after the commit. */
export interface Aftermath {
  /** Waiters fired: `wake` has something to pass on. */
  fired: boolean;
  /** A parked workflow became due. */
  ready: boolean;
  /** Destinations that another executor runs. */
  hints: { workflowID: string; executor: number }[];
}

export interface FlushResult extends Aftermath {
  /** By index of the operation; a hole means written. */
  answers: (Answer | undefined)[];
}
