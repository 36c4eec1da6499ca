// `http.health()`: live while the process is; ready only while it can do its work, each case for real.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Pawl } from '@pawl/core';
import { createDatabase, startPostgres, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { gate } from './app-under-test.ts';
import { type Framework, frameworks } from './frameworks.ts';
import { type Answer, ask, portOf } from './plain-client.ts';
import { becomes } from './telling.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe('health', () => {
  const stops: (() => Promise<unknown>)[] = [];
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });
  afterAll(() => database.drop());

  async function serve(pawl: Pawl, framework = frameworks[0] as Framework) {
    const server = framework.serve(pawl, { scope: 'global' }, (app) => app.health('/health'));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    stops.push(async () => server.close());
    const get = (path: string, method = 'GET'): Promise<Answer> =>
      ask(portOf(server), `/health/${path}`, { method });
    return {
      get,
      /** `ready`, or why not; alive in any case. */
      async says(): Promise<unknown> {
        expect(await get('live')).toMatchObject({ status: 200, text: '{"status":"live"}' });
        const { status, headers, text } = await get('ready');
        expect(headers).toMatchObject({
          'content-type': 'application/json; charset=utf-8',
          'cache-control': 'no-store',
        });
        const body = JSON.parse(text) as { status: string; reason?: string };
        expect([status, body.status]).toEqual(body.reason ? [503, 'not ready'] : [200, 'ready']);
        return body.reason ?? body.status;
      },
    };
  }

  test.each(frameworks)('not before launch, not while stopping, not after: $name', async (framework) => {
    const pawl = new Pawl({ database: database.url, logger: silent });
    const [begun, done] = [gate(), gate()];
    const work = (): Promise<void> => {
      begun.open();
      return done.opened;
    };
    const name = `hold on ${framework.name}`;
    const hold = pawl.registerWorkflow(() => pawl.runStep(work, { name: 'work' }), { name });
    const { says, get } = await serve(pawl, framework);
    expect(await says()).toBe('idle');
    const launching = pawl.launch();
    expect(await says()).toBe('launching');
    await launching;
    expect(await says()).toBe('ready');
    expect(await get('ready', 'HEAD')).toMatchObject({ status: 200, text: '' });
    expect(await get('ready', 'POST')).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });

    await pawl.startWorkflow(hold)();
    await begun.opened;
    const stopping = pawl.shutdown({ graceSeconds: 20 });
    expect(await says()).toBe('stopping');
    done.open();
    await stopping;
    expect(await says()).toBe('idle');
    await pawl.launch();
    expect(await says()).toBe('ready');
    await pawl.shutdown({ graceSeconds: 0 });
  });

  test('not when a peer has taken it for dead, until it has started over', async () => {
    const pawl = await new Pawl({ database: database.url, logger: silent, leaseSeconds: 3 }).launch();
    stops.push(() => pawl.shutdown({ graceSeconds: 0 }));
    const { says } = await serve(pawl);
    expect(await says()).toBe('ready');
    // The ticks cannot renew the lease while somebody holds its row; every other question is answered.
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query('BEGIN');
    await client.query('SELECT 1 FROM pawl.executor WHERE gone_at IS NULL FOR UPDATE');
    await becomes(async () => (await says()) === 'the lease is over');
    await client.query('UPDATE pawl.executor SET gone_at = now() WHERE gone_at IS NULL');
    await client.query('COMMIT');
    await client.end();
    await becomes(async () => (await says()) === 'ready');
  });

  test('not while the database does not answer', async () => {
    const between = await proxyTo(database.url);
    stops.push(between.close);
    const pawl = await new Pawl({ database: between.url, logger: silent }).launch();
    stops.push(() => pawl.shutdown({ graceSeconds: 0 }));
    const { says } = await serve(pawl);
    expect(await says()).toBe('ready');
    between.hold();
    expect(await says()).toMatch(/the database does not answer|the lease is over/);
    between.release();
    await becomes(async () => (await says()) === 'ready');
  });
});

test('not while the database is down, and again when it is back', { timeout: 60_000 }, async () => {
  const postgres = await startPostgres();
  const pawl = await new Pawl({ database: postgres.url, logger: silent }).launch();
  const server = (frameworks[0] as Framework).serve(pawl, { scope: 'global' }, (app) => app.health('/'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const ready = (): Promise<Answer> => ask(portOf(server), '/ready');
  expect((await ready()).status).toBe(200);
  await postgres.stop();
  expect(await ready()).toMatchObject({
    status: 503,
    text: '{"status":"not ready","reason":"the database cannot be reached"}',
  });
  await postgres.start();
  await becomes(async () => (await ready()).status === 200);
  await pawl.shutdown({ graceSeconds: 0 });
  server.close();
  await postgres[Symbol.asyncDispose]();
});

/** Passes everything on, or holds it, as a network that drops packets. */
async function proxyTo(target: string) {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let held = false;
  const server: Server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {}).on('close', () => to.destroy());
      from.on('data', (chunk) => to.write(chunk));
      if (held) from.pause();
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = new URL(target);
  url.port = String((server.address() as { port: number }).port);
  url.hostname = '127.0.0.1';
  return {
    url: url.href,
    hold: () => {
      held = true;
      for (const socket of sockets) socket.pause();
    },
    release: () => {
      held = false;
      for (const socket of sockets) socket.resume();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
