// PgBouncer in transaction mode in front of the test server, for tests of what changes behind a pooler. It has to be
// installed; where it is not, those tests are skipped with the reason.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { serverURL } from './database.ts';
import { freePort } from './postgres.ts';

export interface PgBouncer {
  /** The same database through the pooler. */
  through(databaseURL: string): string;
  stop(): Promise<void>;
}

/** Why there is no PgBouncer, or undefined if there is one. In CI nothing is skipped, so that the start fails there. */
export const noPgBouncer: string | undefined = (() => {
  try {
    execFileSync('pgbouncer', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    const reason = 'PgBouncer is not installed (on Debian: apt-get install pgbouncer).';
    console.warn(`Tests behind a transaction pooler do not run: ${reason}`);
    return process.env['CI'] ? undefined : reason;
  }
})();

/** Few backends, so that one client's transactions run on several and those of several on one. */
const BACKENDS = 6;

/** `sameBackend`: the backend that was used last goes first, as PgBouncer does by default; else they take turns. */
export async function startPgBouncer({ sameBackend = false } = {}): Promise<PgBouncer> {
  const directory = mkdtempSync(path.join(tmpdir(), 'pawl-pgbouncer-'));
  const { hostname, port, username, password } = new URL(serverURL());
  const listenPort = await freePort();
  const login = `user=${decodeURIComponent(username)}${password && ` password=${decodeURIComponent(password)}`}`;
  const file = path.join(directory, 'pgbouncer.ini');
  writeFileSync(
    file,
    `[databases]
* = host=${hostname} port=${port || '5432'} ${login}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listenPort}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${BACKENDS}
max_client_conn = 500
server_round_robin = ${sameBackend ? 0 : 1}
`,
  );
  // It refuses to run as root.
  const account = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;
  if (account) for (const each of [directory, file]) chownSync(each, account.uid, account.gid);
  const child = spawn('pgbouncer', ['--quiet', file], { ...account, stdio: 'ignore' });
  const onExit = () => child.kill('SIGKILL');
  process.once('exit', onExit);
  await answers(child, listenPort);
  return {
    through: (databaseURL) => {
      const url = new URL(databaseURL);
      url.hostname = '127.0.0.1';
      url.port = String(listenPort);
      return url.href;
    },
    stop: async () => {
      process.off('exit', onExit);
      if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function answers(child: ChildProcess, port: number): Promise<void> {
  while (child.exitCode === null) {
    const socket = connect(port, '127.0.0.1');
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return;
    await setTimeout(10);
  }
  throw new Error(`PgBouncer ended with ${child.exitCode} while it started.`);
}
