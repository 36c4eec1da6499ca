// Starts while the server holds its connections open and says nothing, as a machine does that is paused.
import { setImmediate as turn } from 'node:timers/promises';
import { DatabaseUnavailableError, Pawl } from '@pawl/core';
import { type PostgresServer, startPostgres } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
let postgres: PostgresServer;
let pawl: Pawl;
let stopped: number[] = [];

function signal(name: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of stopped) process.kill(pid, name);
}

beforeAll(async () => {
  postgres = await startPostgres();
  pawl = await new Pawl({ database: postgres.url, logger: silent }).launch();
});
afterAll(async () => {
  signal('SIGCONT');
  stopped = [];
  await pawl.shutdown({ graceSeconds: 0 });
  await postgres[Symbol.asyncDispose]();
});

async function backends(): Promise<number[]> {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  const { rows } = await client.query<{ pid: number }>(
    `select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
  );
  await client.end();
  return rows.map(({ pid }) => pid);
}

test('a process that is held up for longer than that tells nobody what the server has long answered', async () => {
  const ran: string[] = [];
  const job = pawl.registerWorkflow(async (label: string) => ran.push(label), { name: 'held up' });
  const told = ['first', 'second', 'queued', 'queued too'].map(async (id, n) => {
    for (let turns = 0; turns < 3 * n; turns++) await turn();
    return pawl.startWorkflow(job, { workflowID: `held up ${id}` })(id);
  });
  for (let turns = 0; turns < 12; turns++) await turn();
  const end = performance.now() + 3_400;
  while (performance.now() < end);
  for (const handle of await Promise.all(told)) await handle.getResult();
  expect(ran.toSorted()).toEqual(['first', 'queued', 'queued too', 'second']);
});

// A connection that says nothing is given up after twenty seconds: who is told before then is told for another reason.
test('those that were never sent are told with the others, and never run', { timeout: 15_000 }, async () => {
  const ran: string[] = [];
  const job = pawl.registerWorkflow(async (label: string) => ran.push(label), { name: 'job' });
  const start = async (workflowID: string, label = workflowID): Promise<unknown> =>
    pawl.startWorkflow(job, { workflowID })(label);
  // Both lanes have their connections.
  await Promise.all(Array.from({ length: 40 }, (_, n) => start(`before-${n}`)));
  stopped = await backends();

  signal('SIGSTOP');
  const told = ['first', 'second', 'queued'].map(async (id, n) => {
    // Each in a turn of its own, so that none shares a flush.
    for (let turns = 0; turns < 3 * n; turns++) await turn();
    return start(id).catch((error: unknown) => error);
  });
  for (const answer of await Promise.all(told)) expect(answer).toBeInstanceOf(DatabaseUnavailableError);

  signal('SIGCONT');
  await start('queued', 'again');
  for (const id of ['first', 'second', 'queued']) await pawl.retrieveWorkflow(id).getResult();
  expect(ran.filter((label) => !label.startsWith('before')).toSorted()).toEqual(['again', 'first', 'second']);
});
