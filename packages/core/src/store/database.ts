// The database as the rest of the store sees it: the same few verbs over `pg` and over PGlite.
// The store's own texts say `pawl.table`; the database puts the quoted schema in the place of `pawl.`. Texts that
// go through a transaction's client are the user's and are sent as they are.

/** A row as an object, columns by name. */
export type Row = Record<string, unknown>;

export interface QueryResult<R = Row> {
  rows: R[];
  rowCount: number;
}

/** What a transaction body gets, and what every store function takes. */
export interface Queryable {
  query<R = Row>(text: string, params?: readonly unknown[]): Promise<QueryResult<R>>;
}

/**
 * A connection of its own that outlives its failures: a call after a lost connection connects again. Calls run
 * one after another. Text results: every value comes as a string or null, in the order of the columns.
 */
export interface Lane {
  /** `wanted` is asked when a call that had to wait for a connection has one; if not, it fails with `NotSentError`. */
  call(text: string, params: readonly unknown[], wanted?: () => boolean): Promise<TextRow[]>;
  close(): Promise<void>;
}

export type TextRow = readonly (string | null)[];

export type IsolationLevel = 'READ COMMITTED' | 'REPEATABLE READ' | 'SERIALIZABLE';

export interface TransactionOptions {
  isolationLevel?: IsolationLevel;
  readOnly?: boolean;
}

/** A listener that reconnects by itself. `onConnect` runs on each new connection before anything is heard. */
export interface ListenOptions {
  channels: readonly string[];
  onConnect: (connection: Queryable) => Promise<void>;
  onMessage: (channel: string, payload: string) => void;
  onLost: (error: unknown) => void;
}

export interface Listener {
  /** Sends hints on the same connection; lost without a word while there is no connection. */
  notify(channel: string, payloads: readonly string[]): void;
  /** The connection that listens, while there is one. */
  readonly connection: Queryable | undefined;
  close(): Promise<void>;
}

export interface Database extends Queryable {
  /** With a name the statement is prepared once per connection, where connections are sessions and the pool is our own. */
  query<R = Row>(text: string, params?: readonly unknown[], name?: string): Promise<QueryResult<R>>;
  /** Embedded: one process, one connection, nobody else. */
  readonly embedded: boolean;
  /** A transaction pooler lies in between: no LISTEN and no session locks. Known once a lane or `listen` has connected. */
  pooled: boolean;
  /** The schema's name, unquoted. */
  readonly schema: string;
  /** Connects, so that a wrong address fails here. */
  open(): Promise<void>;
  close(): Promise<void>;
  lane(name: string): Lane;
  /**
   * BEGIN, the body, COMMIT on one connection; ROLLBACK if the body throws. Throws `ConnectionLostError` if that
   * connection fails before COMMIT, `CommitUnknownError` if the answer to COMMIT is lost.
   */
  transaction<T>(options: TransactionOptions, body: (tx: Queryable) => Promise<T>): Promise<T>;
  listen(options: ListenOptions): Promise<Listener>;
  /** The text as it is sent: `pawl.` replaced by the quoted schema. */
  qualify(text: string): string;
  /** Called with every statement that is sent, transaction control included. For counting in tests. */
  onStatement: ((text: string) => void) | undefined;
}

/** The connection of a transaction broke before COMMIT: nothing of it is there. What broke is the cause. */
export class ConnectionLostError extends Error {
  override name = 'ConnectionLostError';
}

/** There was no connection to send it on, and it was not sent. Says what the cause says, with its code. */
export class NotSentError extends ConnectionLostError {
  override name = 'NotSentError';
}

/** A COMMIT that the server answers with a ROLLBACK: a statement failed, and the body went on regardless. */
export function abortedError(): Error {
  return Object.assign(
    new Error(
      'The transaction is rolled back: one of its statements failed, and its body caught the error and went on. ' +
        'Let the error pass, or use a savepoint.',
    ),
    { code: '25P02' },
  );
}

/** The connection broke between COMMIT and its answer. */
export class CommitUnknownError extends Error {
  override name = 'CommitUnknownError';
}
