// What this repository does not install, and the environment names. A relative path is one of the directory in which the
// command was given: pnpm runs it in another.
import path from 'node:path';

/** The Restate server. Its package holds 200 MB, too much for everybody who installs this repository. */
export function restateBinary(): string | undefined {
  const named = process.env['RESTATE_SERVER'];
  return named ? fromCaller(named) : undefined;
}

/** The tables and functions of absurd, which its npm package does not hold. */
export function absurdSchema(): string {
  return fromCaller(process.env['ABSURD_SQL'] ?? '');
}

function fromCaller(file: string): string {
  return path.resolve(process.env['INIT_CWD'] ?? '.', file);
}
