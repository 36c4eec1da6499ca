// Runs `pawl` as its users do, in a process of its own; from the sources, as one bundled file, which starts quickly. Or
// in this process, where it is the answer that matters: that takes a tenth of the time.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { main } from '../../packages/core/src/cli/main.ts';
import type { Streams } from '../../packages/core/src/cli/terminal.ts';

export interface Answer {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

interface RunOptions {
  env?: Record<string, string>;
  input?: string;
  /** Stops reading its output after so many lines, as `head` does. */
  lines?: number;
}

export interface CommandLine {
  /** `DATABASE_URL` is not set unless `env` says so. */
  run(args: string[], options?: RunOptions): Promise<Answer>;
  /** The document of a command with `--json`; rejects if the command fails or says more than that. */
  json<T>(args: string[], options?: { env?: Record<string, string> }): Promise<T>;
  /** An empty directory, which is also where the commands run. */
  readonly directory: string;
  remove(): Promise<void>;
}

const CORE = new URL('../../packages/core/', import.meta.url);

export async function createCommandLine(): Promise<CommandLine> {
  const home = await mkdtemp(path.join(tmpdir(), 'pawl-cli-'));
  const directory = path.join(home, 'here', path.sep);
  const file = path.join(home, 'pawl.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('bin/pawl.js', CORE))],
    bundle: true,
    outfile: file,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    conditions: ['@pawl/source'],
    external: ['pg', '@electric-sql/pglite'],
    // Where the sources believe to be: from there they find package.json and the SQL.
    define: { 'import.meta.url': JSON.stringify(new URL('src/cli/main.ts', CORE).href) },
    // Commander asks for modules of Node the old way.
    banner: {
      js: `import { createRequire } from 'node:module'; const require = createRequire('${CORE.href}');`,
    },
  });
  await symlink(fileURLToPath(new URL('node_modules', CORE)), path.join(home, 'node_modules'));
  await mkdir(directory);

  const run: CommandLine['run'] = async (args, { env = {}, input = '', lines } = {}) => {
    const child = spawn(process.execPath, [file, ...args], {
      cwd: directory,
      env: { ...process.env, DATABASE_URL: '', NODE_ENV: '', ...env },
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const [stdout, stderr, [exitCode]] = await Promise.all([
      lines === undefined ? text(child.stdout) : head(child.stdout, lines),
      text(child.stderr),
      once(child, 'exit') as Promise<[number | null]>,
    ]);
    return { exitCode, stdout, stderr };
  };
  return {
    run,
    json: async <T>(args: string[], options?: { env?: Record<string, string> }) => {
      const { exitCode, stdout, stderr } = await run([...args, '--json'], options);
      if (exitCode !== 0 || stderr !== '') throw new Error(`pawl ${args.join(' ')}: ${exitCode} ${stderr}`);
      return JSON.parse(stdout) as T;
    },
    directory,
    remove: () => rm(home, { recursive: true, force: true }),
  };
}

async function head(stream: Readable, lines: number): Promise<string> {
  let read = '';
  for await (const chunk of stream) {
    read += String(chunk);
    // Leaving the loop closes the stream.
    if (read.split('\n').length > lines) break;
  }
  return read;
}

/** The same command in this process; `--database` says where. `typed`: by somebody at a terminal. */
export async function runHere(args: string[], { typed }: { typed?: string } = {}): Promise<Answer> {
  const written = { stdout: '', stderr: '' };
  const isTTY = typed !== undefined;
  const sink = (name: keyof typeof written) =>
    new Writable({
      write(chunk, _encoding, done) {
        written[name] += String(chunk);
        done();
      },
    });
  const streams = {
    stdin: Object.assign(Readable.from(isTTY ? [typed] : []), { isTTY }),
    stdout: sink('stdout'),
    stderr: Object.assign(sink('stderr'), { isTTY }),
  };
  const exitCode = await main(args, streams as unknown as Streams);
  return { exitCode, ...written };
}
