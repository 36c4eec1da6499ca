// Owns how a command fails: the exit code, and the one line that says why. A stack is shown only for what must be a
// mistake of Pawl's own.

import {
  ConfigurationError,
  DatabaseUnavailableError,
  NonExistentWorkflowError,
  NotRegisteredError,
  PawlError,
  UnknownQueueError,
  ValidationError,
  WorkflowIDInUseError,
} from '../errors/index.ts';
import { classifyFault, errorCode } from '../store/faults.ts';

/** Scripts rely on these: they are part of the interface. */
export const EXIT = {
  done: 0,
  /** The command was understood, and could not be carried out. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The database cannot be reached, or does not let us in. */
  unreachable: 3,
  /** The schema has no Pawl in it, or an older or newer one than this. */
  schema: 4,
  /** No workflow has that id, or no queue or schedule that name. */
  unknown: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A failure that a command foresees. */
export class Failure extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export interface Explanation {
  exitCode: ExitCode;
  text: string;
}

export function unknownWorkflow(workflowID: string): Failure {
  return new Failure(EXIT.unknown, `No workflow has the id ${JSON.stringify(workflowID)}.`);
}

export function unknownQueue(name: string): Failure {
  return new Failure(
    EXIT.unknown,
    `No queue has the name ${JSON.stringify(name)}. \`pawl queue list\` shows all.`,
  );
}

export function explain(error: unknown): Explanation {
  const line = (exitCode: ExitCode, text: string): Explanation => ({ exitCode, text: oneLine(text) });
  if (error instanceof Failure) return line(error.exitCode, error.message);
  if (error instanceof NonExistentWorkflowError) return explain(unknownWorkflow(error.workflowID));
  if (error instanceof NotRegisteredError)
    return line(EXIT.unknown, `No schedule has the name ${JSON.stringify(error.missing)}.`);
  if (error instanceof UnknownQueueError) return explain(unknownQueue(error.queueName));
  if (error instanceof DatabaseUnavailableError) return line(EXIT.unreachable, error.message);
  if (error instanceof ValidationError || error instanceof ConfigurationError)
    return line(EXIT.usage, error.message);
  if (error instanceof WorkflowIDInUseError)
    return line(
      EXIT.failed,
      `A workflow with the id ${JSON.stringify(error.workflowID)} exists already. Choose another --new-id.`,
    );
  if (error instanceof PawlError) return line(EXIT.failed, error.message);
  if (classifyFault(error) === 'connection')
    return line(EXIT.unreachable, `The connection to the database was lost (${messageOf(error)}).`);
  if (/^[0-9A-Z]{5}$/.test(errorCode(error) ?? ''))
    return line(EXIT.failed, `The database refused: ${messageOf(error)}.`);
  return {
    exitCode: EXIT.failed,
    text: error instanceof Error ? (error.stack ?? error.message) : String(error),
  };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ');
}
