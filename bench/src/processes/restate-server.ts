// The process that owns a Restate server, so that the server and its files are gone however the turn ends: a turn may be
// killed, and then this process loses its parent and ends, and the server with it.
//
// One node as its documentation has it for production: the defaults, on a disk that stays. That is the replicated loglet
// with one copy, 24 partitions, and an fsync of the log before anything is acknowledged
// (`log-server.rocksdb-disable-wal-fsync` is false unless it is set); `--production` changes only who provisions a
// cluster. Finished workflows and their journals are kept for a day. Addresses, logging and telemetry are changed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { restateBinary } from '../peers/installed-apart.ts';
import { answerParent } from './answer.ts';

export interface RestateAddresses {
  ingressUrl: string;
  adminUrl: string;
  pid: number;
}

const readyWithinMs = 30_000;

const binary = restateBinary();
if (binary === undefined) throw new Error('There is no Restate server for this platform.');

// In the same place as the files of the Postgres server, so that an fsync costs both the same.
const directory = mkdtempSync(path.join(tmpdir(), 'pawl-restate-'));
const [ingressPort = 0, adminPort = 0, nodePort = 0] = await freePorts(3);
const server = spawn(
  binary,
  ['--no-logo', '--node-name=bench', '--bind-ip=127.0.0.1', '--listen-mode=tcp', `--base-dir=${directory}`],
  {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      RESTATE_BIND_PORT: String(nodePort),
      RESTATE_ADMIN__BIND_PORT: String(adminPort),
      RESTATE_INGRESS__BIND_PORT: String(ingressPort),
      RESTATE_ADVERTISED_HOST: '127.0.0.1',
      RESTATE_LOG_FILTER: 'error,octocrab=off',
      RESTATE_DISABLE_TELEMETRY: 'true',
      DO_NOT_TRACK: '1',
    },
  },
);
server.once('error', (error) => {
  throw error;
});
const endWithServer = (): void => process.exit(1);
server.once('exit', endWithServer);
process.once('exit', () => {
  // Its data are of no use to anyone, so it need not end in order.
  server.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
});
// An interrupt reaches the whole group: the parent decides when this process ends.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});

const ingressUrl = `http://127.0.0.1:${ingressPort}`;
const adminUrl = `http://127.0.0.1:${adminPort}`;
await answers(`${adminUrl}/health`);
await answers(`${ingressUrl}/restate/health`);

answerParent({
  addresses: (): RestateAddresses => ({ ingressUrl, adminUrl, pid: server.pid ?? 0 }),
  async close() {
    server.off('exit', endWithServer);
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  },
});

async function answers(url: string): Promise<void> {
  const deadline = performance.now() + readyWithinMs;
  while (performance.now() < deadline) {
    const ok = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (ok) return;
    await delay(50);
  }
  throw new Error(`${url} did not answer within ${readyWithinMs / 1000} s.`);
}

/** Held all at once, so that they differ; free when this returns. */
async function freePorts(count: number): Promise<number[]> {
  const holders = await Promise.all(
    Array.from({ length: count }, async () => {
      const holder = createServer().listen(0, '127.0.0.1');
      await once(holder, 'listening');
      return holder;
    }),
  );
  const ports = holders.map((holder) => (holder.address() as AddressInfo).port);
  await Promise.all(holders.map((holder) => once(holder.close(), 'close')));
  return ports;
}
