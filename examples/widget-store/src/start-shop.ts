// Starts the whole shop as it was built, supervisor and all, in a directory of its own and on a free port: for the tests.
// It knows the shop from the outside only: its URL, and what the supervisor prints.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface RunningShop {
  readonly url: string;
  /** How many processes the supervisor has started so far. */
  readonly processes: number;
  /** The shop's process that is up now; null while there is none. */
  readonly pid: number | null;
  readonly log: readonly string[];
  /** Kills the shop's process that is up, if there is one, without any warning. */
  kill(): void;
  /** Stops it as Ctrl-C does, and resolves to the supervisor's exit code. */
  stop(): Promise<number | null>;
}

export async function startShop(
  options: {
    server?: 'express' | 'koa';
    databaseURL?: string;
    port?: number;
    env?: Record<string, string>;
  } = {},
): Promise<RunningShop> {
  const directory = await mkdtemp(join(tmpdir(), 'widget-store-'));
  const entry = fileURLToPath(new URL('../dist/supervisor.js', import.meta.url));
  const { DATABASE_URL: _, ...inherited } = process.env;
  const supervisor = spawn(process.execPath, [entry], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...inherited,
      PORT: String(options.port ?? 0),
      SERVER: options.server ?? 'express',
      ...(options.databaseURL ? { DATABASE_URL: options.databaseURL } : {}),
      ...options.env,
    },
  });
  const closed = once(supervisor, 'close');
  const killWithUs = () => supervisor.kill();
  process.once('exit', killWithUs);

  let processes = 0;
  let pid: number | null = null;
  let starting: number | null = null;
  const log: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    void closed.then(() => reject(new Error(`The shop did not start:\n${log.join('\n')}`)));
    const read = (line: string) => {
      log.push(line);
      const started = /^\[supervisor\] process (\d+) starts, pid (\d+)/.exec(line);
      if (started) [processes, starting] = [Number(started[1]), Number(started[2])];
      if (/^\[supervisor\] process \d+ is ready/.test(line)) pid = starting;
      if (/^\[supervisor\] process \d+ died/.test(line)) pid = null;
      const address = /http:\/\/localhost:\d+/.exec(line);
      if (address) resolve(address[0]);
    };
    for (const output of [supervisor.stdout, supervisor.stderr])
      createInterface({ input: output }).on('line', read);
  });

  return {
    url,
    log,
    get processes() {
      return processes;
    },
    get pid() {
      return pid;
    },
    kill() {
      if (pid !== null) process.kill(pid, 'SIGKILL');
      pid = null; // the supervisor may notice late
    },
    async stop() {
      supervisor.kill('SIGINT');
      const [code] = (await closed) as [number | null];
      process.off('exit', killWithUs);
      await rm(directory, { recursive: true, force: true });
      return code;
    },
  };
}
