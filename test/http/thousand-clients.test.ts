// A thousand clients that wait at one process: one listening connection for all of them, nothing per client while nothing
// happens, and nothing left once they are gone.
// PAWL_CLIENTS=5000 for more of them; PAWL_REPORT=1 says what it takes.
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { Pawl } from '@pawl/core';
import { pawlExpress } from '@pawl/express';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import express from 'express';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { ask, portOf } from './plain-client.ts';
import { becomes } from './telling.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const CLIENTS = Number(process.env['PAWL_CLIENTS'] ?? 1000);
const WORKFLOWS = 100;
const IDLE_SECONDS = 2;

let database: TestDatabase;
let client: pg.Client;
let here: Pawl;
let elsewhere: Pawl;
let server: Server;
let statements = 0;
let texts: string[] = [];

beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const launch = async (): Promise<Pawl> => {
    const pawl = new Pawl({ database: database.url, logger: silent });
    pawl.registerWorkflow(
      async () => {
        const word = await pawl.recv<string>('go', 600);
        await pawl.setEvent('word', word);
        return word;
      },
      { name: 'one word' },
    );
    if (here === undefined) {
      internals(pawl).events.on('statement', ({ text }) => {
        statements += 1;
        texts.push(text);
      });
    }
    return pawl.launch();
  };
  here = await launch();
  elsewhere = await launch();
  const routes = pawlExpress(here, { scope: 'global' }).workflows({
    authorize: ({ headers }) => headers['x-user'] !== 'eve',
  });
  server = createServer(express().use('/workflows', routes)).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await Promise.all([here, elsewhere].map((pawl) => pawl.shutdown({ graceSeconds: 0 })));
  await client.end();
  await database.drop();
});

/** Half of them run in the process that serves the clients. */
async function startAll(round: string): Promise<string[]> {
  const ids = Array.from({ length: WORKFLOWS }, (_, index) => `${round}-${index}`);
  await Promise.all(
    ids.map((workflowID, index) =>
      (index % 2 === 0 ? here : elsewhere).startWorkflow('one word', { workflowID })(),
    ),
  );
  return ids;
}

interface Client {
  readonly path: string;
  readonly answered: Promise<string>;
  abort(): void;
}

function connect(path: string): Client {
  const asked = request({ host: '127.0.0.1', port: portOf(server), path, agent: false });
  const answered = once(asked, 'response').then(async ([response]) => {
    let text = '';
    for await (const chunk of (response as IncomingMessage).setEncoding('utf8')) text += chunk;
    return text;
  });
  answered.catch(() => {});
  asked.end();
  return { path, answered, abort: () => asked.destroy() };
}

/** Half of them streams, a quarter waits for results, a quarter for the event. */
function connectAll(ids: readonly string[], number: number): Client[] {
  const kinds = ['events', 'result?wait=60', 'events', 'events/word?wait=60'];
  return Array.from({ length: number }, (_, index) => {
    const id = ids[Math.floor(index / 4) % ids.length] as string;
    return connect(`/workflows/${id}/${kinds[index % 4]}`);
  });
}

const waiting = (): number => internals(here).runtime.waiting;
/** Who waits for an event waits for the end as well. */
const waitingOf = (clients: number): number => clients * 1.25;
const count = async (sql: string): Promise<number> =>
  Number((await client.query<{ count: string }>(`SELECT count(*) FROM ${sql}`)).rows[0]?.count);
const waiters = (): Promise<number> => count(`pawl.waiter WHERE workflow_id = ''`);
/** A process holds the lock of its life on its listening connection. */
const listening = (): Promise<number> =>
  count(`(SELECT DISTINCT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND a.datname = current_database()) x`);
const connections = (): Promise<number> =>
  count(`pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`);
const open = (): Promise<number> =>
  new Promise((resolve, reject) =>
    server.getConnections((error, number) => (error ? reject(error) : resolve(number))),
  );
const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
const report = (text: string): void => {
  if (process.env['PAWL_REPORT']) process.stdout.write(`${text}\n`);
};

test('all are served over one listening connection, and leave nothing', { timeout: 120_000 }, async () => {
  const ids = await startAll('served');
  const before = { timers: timers(), heap: heap() };
  const began = performance.now();
  const clients = connectAll(ids, CLIENTS);
  await becomes(() => waiting() === waitingOf(CLIENTS), 80);
  await becomes(async () => (await waiters()) > 0);
  report(`${CLIENTS} clients waiting after ${Math.round(performance.now() - began)} ms`);
  expect(await listening()).toBe(2);
  // Pools, lanes and listeners of two processes.
  expect(await connections()).toBeLessThan(40);

  // A tick and a look for all, twice a second, once the last of the first looks are through.
  for (let window = 1; ; window++) {
    statements = 0;
    await pause(IDLE_SECONDS * 1000);
    report(`${statements / IDLE_SECONDS} statements a second while idle`);
    if (statements < IDLE_SECONDS * 10) break;
    expect(window).toBeLessThan(10);
  }
  report(`${Math.round((heap() - before.heap) / 1024 / CLIENTS)} KiB of heap a client, both ends`);

  statements = 0;
  const told = performance.now();
  await Promise.all(ids.map((id) => here.send(id, `for ${id}`, 'go')));
  const answers = await Promise.all(clients.map(({ answered }) => answered));
  report(`all told after ${Math.round(performance.now() - told)} ms with ${statements} statements`);
  for (const [index, { path }] of clients.entries()) {
    const word = JSON.stringify(`for ${path.split('/')[2]}`);
    const answer = (answers[index] as string).replaceAll(': heartbeat\n\n', '');
    if (path.endsWith('/events'))
      expect(answer).toMatch(
        new RegExp(
          `^retry: 1000\n\nid: (\\d+)\nevent: word\ndata: ${word}\n\nid: end-\\1\nevent: end\n.*\n\n$`,
        ),
      );
    else expect(answer).toBe(word);
  }
  await nothingIsLeft(before.timers);
});

test('those who hang up leave nothing either', { timeout: 120_000 }, async () => {
  const ids = await startAll('left');
  const before = timers();
  const number = CLIENTS * 0.4;
  const clients = connectAll(ids, number);
  await becomes(() => waiting() === waitingOf(number), 80);
  await becomes(async () => (await waiters()) > 0);
  for (const each of clients) each.abort();
  await Promise.allSettled(clients.map(({ answered }) => answered));
  await nothingIsLeft(before);
  // They would still be told.
  await Promise.all(ids.map((id) => here.send(id, 'x', 'go')));
  await Promise.all(ids.map((id) => here.retrieveWorkflow(id).getResult()));
  await becomes(async () => (await waiters()) === 0);
});

test('a workflow of somebody else costs the same looks as one that is not there', async () => {
  await here.startWorkflow('one word', { workflowID: 'of somebody' })();
  const asked = async (id: string, path: string): Promise<string[]> => {
    texts = [];
    const answer = await ask(portOf(server), `/workflows/${id}${path}`, { headers: { 'X-User': 'eve' } });
    expect(answer.status).toBe(404);
    return texts.filter((text) => !/pawl.(tick|watch|unwatch|wake|claim|flush\w*)\(/.test(text));
  };
  for (const path of ['', '/result?wait=9', '/events', '/events/word?wait=9', '/steps']) {
    const looks = await asked('nobody', path);
    expect(looks.length).toBe(1);
    expect(await asked(encodeURIComponent('of somebody'), path)).toEqual(looks);
  }
});

async function nothingIsLeft(timersBefore: number): Promise<void> {
  await becomes(async () => (await open()) === 0);
  await becomes(() => waiting() === 0);
  await becomes(async () => (await waiters()) === 0);
  // Those of the ticks, and of idle connections in the pool.
  await becomes(() => timers() <= timersBefore + 25);
  expect(await listening()).toBe(2);
}

function heap(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed;
}
