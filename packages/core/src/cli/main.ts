// Owns a run of `pawl` from its arguments to its exit code. Never exits by itself, so that all output gets through.

import { type Command, CommanderError } from 'commander';
import { EXIT, type ExitCode, explain } from './failure.ts';
import { createProgram } from './program.ts';
import type { Streams } from './terminal.ts';

export async function main(args: readonly string[], streams: Streams = process): Promise<ExitCode> {
  // Who reads our output may stop reading, as `head` does.
  streams.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const program = createProgram(streams);
  const complain = (line: string) => streams.stderr.write(`pawl: ${line}\n`);
  configure(program, streams, complain);
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT.done;
  } catch (error) {
    // Its message is out already, or was help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const { exitCode, text } = explain(error);
    complain(text);
    return exitCode;
  }
}

/** For the program and all its commands: errors are thrown, and take one line. */
function configure(command: Command, streams: Streams, complain: (line: string) => void): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => void streams.stdout.write(text),
    writeErr: (text) => void streams.stderr.write(text),
    outputError: (text) =>
      complain(
        text
          .replace(/^error: /, '')
          .trim()
          .replace(/\s*\n\s*/g, ' '),
      ),
  });
  for (const child of command.commands) configure(child, streams, complain);
}
