// The logger that an app may bring (pino and console fit as they are), and the one used without: warnings and
// errors to the console.

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
