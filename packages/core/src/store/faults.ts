// What a database error means for the one who asked: try again, set aside, or give up. Judges by SQLSTATE and by
// the error codes of sockets; never by message texts, except those of drivers that have nothing else.

import { DatabaseUnavailableError } from '../errors/index.ts';
import { CommitUnknownError, ConnectionLostError, NotSentError } from './database.ts';

export type Fault = 'connection' | 'conflict' | 'locked' | 'refused';

const SOCKET = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
]);

/**
 * The server is away, stopping, out of disk, memory or connections, has an I/O error, or is a standby: nothing that
 * is said of the statement itself, so it is sent again, on a new connection.
 */
const UNWELL = /^(08...|57...|53...|58...|25006)$/;

/** The SQLSTATE or socket code of an error, if it has one. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/**
 * connection: the database is away, unwell or closed the connection. conflict: a serialization failure or deadlock.
 * locked: lock_timeout passed. refused: the statement itself is wrong, or its data.
 */
export function classifyFault(error: unknown): Fault {
  if (error instanceof ConnectionLostError) return 'connection';
  const code = errorCode(error);
  if (code !== undefined) {
    if (code === '40001' || code === '40P01') return 'conflict';
    if (code === '55P03') return 'locked';
    if (UNWELL.test(code) || SOCKET.has(code)) return 'connection';
    if (/^[0-9A-Z]{5}$/.test(code)) return 'refused';
  }
  if (
    error instanceof AggregateError &&
    error.errors.some((inner) => classifyFault(inner) === 'connection')
  ) {
    return 'connection';
  }
  const message = error instanceof Error ? error.message : '';
  return /connection (terminated|error|timeout)|client has encountered a connection error|not queryable|timeout expired|timeout exceeded when trying to connect|server closed|connection is closed/i.test(
    message,
  )
    ? 'connection'
    : 'refused';
}

/** Trouble of a server with one statement, which it undoes, and goes on. Not 08: a pooler says that of a server it has lost. */
const UNDONE = /^(53...|58...|57014|25006)$/;

/**
 * Of a failed call: it may have been written, unless it was never sent or the server says that it has undone it (in English;
 * its other languages count as unknown).
 */
export function mayBeWritten(error: unknown): boolean {
  if (error instanceof NotSentError) return false;
  return (error as { severity?: unknown }).severity !== 'ERROR' || !UNDONE.test(errorCode(error) ?? '');
}

/** The error of a request that met no database. */
export function unavailable(cause: unknown): DatabaseUnavailableError {
  return new DatabaseUnavailableError(
    'The database did not answer within a few seconds. Whether the call took effect is unknown; repeat it with the same id.',
    { cause },
  );
}

/**
 * What the error of a transaction means: its body may throw anything, so only what its own connection said of itself
 * counts as a lost connection.
 */
export function classifyTransactionFault(error: unknown): 'connection' | 'conflict' | 'refused' {
  if (error instanceof ConnectionLostError || error instanceof CommitUnknownError) return 'connection';
  return classifyFault(error) === 'conflict' ? 'conflict' : 'refused';
}
