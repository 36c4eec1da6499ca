// The logger that an app may bring (pino and console fit as they are), the one used without (warnings and errors to
// the console), and `pawl.logger`, which says where a line comes from.

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
