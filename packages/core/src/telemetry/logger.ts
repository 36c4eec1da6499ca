// The logger that an app may bring (pino and console fit as they are), the one used without (warnings and errors to
// the console), and `pawl.logger`, which says where a line comes from.

import type { Emitter } from './events.ts';

/** Four levels, each `(message)` or `(object, message)`, as in pino; console fits too. */
export interface Logger {
  debug(...args: unknown[]): void;
  info(...args: unknown[]): void;
  warn(...args: unknown[]): void;
  error(...args: unknown[]): void;
}

export const quietLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: (...args) => console.warn(...args),
  error: (...args) => console.error(...args),
};

/** Logs what the events tell an operator. */
export function subscribeLogger(logger: Logger, events: Emitter): (() => void)[] {
  return [
    events.on('workflow.ended', ({ workflowID, workflowName, status, error }) => {
      if (status === 'ERROR')
        logger.warn({ workflowID, err: error }, `Workflow "${workflowName}" (${workflowID}) failed`);
    }),
    events.on('workflow.blocked', ({ run, workflowID, reason, error }) => {
      // Those that nobody serves come in crowds, and have a remark for all of them.
      if (run !== undefined) logger.error({ workflowID, err: error }, reason);
    }),
    events.on('executor.lost', ({ executor }) =>
      logger.warn(
        { executor },
        'This process was declared gone by a peer; it drops what it ran and starts over',
      ),
    ),
    events.on('executor.takeover', ({ executor, workflows }) =>
      logger.info(
        { executor, workflows },
        `Took over ${workflows} workflows of executor ${executor}, which is gone`,
      ),
    ),
    events.on('remark', ({ level, text, workflowID, error, details }) => {
      const fields = {
        ...(workflowID === undefined ? {} : { workflowID }),
        ...details,
        ...(error === undefined ? {} : { err: error }),
      };
      if (Object.keys(fields).length === 0) logger[level](text);
      else logger[level](fields, text);
    }),
  ];
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

/**
 * Logs to `logger`, with what `stamp` says of the place where it is called: as fields of the first object, which is made
 * if there is none; for a console as a last object, since its first argument may be a format.
 */
export function stampingLogger(logger: Logger, stamp: () => object | undefined): Logger {
  const isConsole = 'log' in logger && !('child' in logger);
  const stamped = (args: unknown[]): unknown[] => {
    const fields = stamp();
    if (fields === undefined) return args;
    if (isConsole) return [...args, fields];
    const [first, ...rest] = args;
    if (first instanceof Error)
      return [{ ...fields, err: first }, ...(rest.length > 0 ? rest : [first.message])];
    if (typeof first === 'object' && first !== null) return [{ ...fields, ...first }, ...rest];
    return [fields, ...args];
  };
  const methods = LEVELS.map((level) => [level, (...args: unknown[]) => logger[level](...stamped(args))]);
  return Object.fromEntries(methods);
}
