// Event streams over what a process lives through: another process that runs the workflow, slow readers, silence, a
// database that goes away, a crash of the server.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Pawl } from '@pawl/core';
import { pawlExpress } from '@pawl/express';
import { pawlKoa } from '@pawl/koa';
import {
  createDatabase,
  noPgBouncer,
  startPgBouncer,
  startPostgres,
  type TestDatabase,
} from '@pawl/test-support';
import compression from 'compression';
import express from 'express';
import Koa from 'koa';
import compress from 'koa-compress';
import mount from 'koa-mount';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { eventStream } from '../../packages/core/src/http/event-stream.ts';
import { ask, begin, openStream, portOf, type Stream, type StreamEvent } from './plain-client.ts';
import { becomes } from './telling.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const routes = { authorize: () => true };
const servers: Server[] = [];
const pawls: Pawl[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  await Promise.all(pawls.splice(0).map((pawl) => pawl.shutdown({ graceSeconds: 0 })));
});

async function listen(handler: unknown): Promise<number> {
  const server = createServer(handler as never).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return portOf(server);
}

const onExpress = (pawl: Pawl): express.Express =>
  express().use('/workflows', pawlExpress(pawl, { scope: 'global' }).workflows(routes));

function onKoa(pawl: Pawl): Koa {
  const app = new Koa();
  // Koa reports connections that are reset.
  app.silent = true;
  return app.use(mount('/workflows', pawlKoa(pawl, { scope: 'global' }).workflows(routes)));
}

async function launch(url: string, workflows: (pawl: Pawl) => void = () => {}): Promise<Pawl> {
  const pawl = new Pawl({ database: url, logger: silent });
  workflows(pawl);
  pawls.push(pawl);
  return pawl.launch();
}

/** Sets 1 to `count`, one for each message to `go`. */
const counting = (pawl: Pawl): void =>
  void pawl.registerWorkflow(
    async (count: number) => {
      for (let n = 1; n <= count; n += 1) {
        await pawl.recv('go', 600);
        await pawl.setEvent('n', n);
      }
    },
    { name: 'counting' },
  );

/** Follows it over as many connections as it takes; `cut` says after which events to hang up. */
async function followAll(
  ports: readonly number[],
  id: string,
  cut: (seen: number) => boolean = () => false,
): Promise<StreamEvent[]> {
  const seen: StreamEvent[] = [];
  for (let tries = 0; tries < 1000; tries += 1) {
    const last = seen.at(-1)?.id;
    const headers: Record<string, string> = last === undefined ? {} : { 'Last-Event-ID': last };
    const port = ports[tries % ports.length] as number;
    const stream: Stream | undefined = await openStream(port, `/workflows/${id}/events`, headers).catch(
      () => undefined,
    );
    if (stream?.response.statusCode !== 200) {
      await pause(50);
      continue;
    }
    let taken = 0;
    stream.response.on('data', () => {
      const complete = stream.text().slice(0, stream.text().lastIndexOf('\n\n') + 2);
      if (cut(seen.length + complete.split('data: ').length - 1)) stream.close();
    });
    await stream.ended;
    const whole = stream.text().slice(0, stream.text().lastIndexOf('\n\n') + 2);
    taken = seen.push(...stream.events().slice(0, whole.split('data: ').length - 1));
    if (taken > 0 && seen.at(-1)?.event === 'end') return seen;
  }
  throw new Error(`No end after ${JSON.stringify(seen)}`);
}

const numbers = (events: readonly StreamEvent[]): unknown[] =>
  events.filter(({ event }) => event === 'n').map(({ data }) => data);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('on a server', () => {
  let database: TestDatabase;
  let client: pg.Client;
  beforeAll(async () => {
    database = await createDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });
  const waiters = async (): Promise<number> =>
    (await client.query(`SELECT 1 FROM pawl.waiter WHERE workflow_id = ''`)).rows.length;

  test('events of another process come by its word, each once, to clients that come and go at any moment', async () => {
    const runner = await launch(database.url, counting);
    const other = await launch(database.url);
    const ports = [await listen(onExpress(other)), await listen(onKoa(other).callback())];
    const count = 60;
    const handle = await runner.startWorkflow('counting', { workflowID: 'elsewhere' })(count);
    // A third of them hang up after every few events, at moments that differ from client to client.
    const clients = upTo(12).map((n) =>
      followAll(n % 2 === 0 ? ports : [...ports].reverse(), 'elsewhere', (seen) =>
        n % 3 === 0 ? seen % (n + 1) === n : false,
      ),
    );
    for (let n = 0; n < count; n += 1) {
      await runner.send('elsewhere', n, 'go');
      if (n % 10 === 0) await pause(5);
    }
    await handle.getResult();
    for (const seen of await Promise.all(clients)) {
      expect(numbers(seen)).toEqual(upTo(count));
      expect(seen.filter(({ event }) => event === 'end').length).toBe(1);
    }
    await becomes(async () => (await waiters()) === 0);
    expect(internals(other).runtime.waiting).toBe(0);
  });

  test('whoever follows a workflow of another process and leaves takes back what it left in the database', async () => {
    const runner = await launch(database.url, counting);
    const other = await launch(database.url);
    const port = await listen(onExpress(other));
    await runner.startWorkflow('counting', { workflowID: 'left' })(1);
    const streams = await Promise.all(upTo(3).map(() => openStream(port, '/workflows/left/events')));
    const polls = ['result', 'events/x'].map((path) =>
      openStream(port, `/workflows/left/${path}?wait=60`).catch(() => 'gone'),
    );
    // One for all streams, one for both polls of the result, one for the event.
    await becomes(async () => (await waiters()) === 3);
    streams[0]?.close();
    streams[1]?.close();
    await becomes(() => internals(other).runtime.waiting === 4);
    expect(await waiters()).toBe(3);
    servers[0]?.closeAllConnections();
    expect(await Promise.all(polls)).toEqual(['gone', 'gone']);
    await becomes(async () => (await waiters()) === 0);
    expect(internals(other).runtime.waiting).toBe(0);
    await runner.cancelWorkflow('left');
  });

  test('a reader that does not read is not read for', async () => {
    const pawl = await launch(database.url, counting);
    const mebibytes = 20;
    await pawl.startWorkflow('counting', { workflowID: 'large' })(1);
    await client.query(
      `INSERT INTO pawl.event (workflow_id, key, seq, created_at, value)
       SELECT 'large', 'x', n, now(), '"' || repeat('x', 1048574) || '"' FROM generate_series(1, ${mebibytes}) n`,
    );
    for (const app of [onExpress(pawl), onKoa(pawl).callback()]) {
      const port = await listen(app);
      let written = (): number => 0;
      servers.at(-1)?.on('connection', (socket) => (written = () => socket.bytesWritten));
      const slow = await begin(port, '/workflows/large/events');
      // What the system holds for a connection is a few megabytes; it is full when nothing moves any more.
      for (let before = -1; before !== written() || before < 100_000; await pause(200)) before = written();
      expect(written()).toBeLessThan(mebibytes * 1024 * 1024 * 0.75);
      let text = '';
      for await (const chunk of slow.setEncoding('latin1')) {
        text += chunk;
        if (text.length > mebibytes * 1024 * 1024) break;
      }
      const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => id);
      expect(ids).toEqual(upTo(mebibytes).map(String));
    }
    await pawl.cancelWorkflow('large');
  });

  test('silence is broken by a comment, and nothing is asked of the database for it', async () => {
    const pawl = await launch(database.url, counting);
    await pawl.startWorkflow('counting', { workflowID: 'silent' })(1);
    const createdAt = (await pawl.getWorkflowStatus('silent'))?.createdAt ?? 0;
    const gone = new AbortController();
    const options = {
      ...{ workflowID: 'silent', createdAt, feed: 'event' as const, key: '', after: 0 },
      ...{ closed: gone.signal, heartbeatMs: 5 },
    };
    const heard: string[] = [];
    for await (const text of eventStream(pawl, options)) {
      heard.push(text);
      if (heard.length === 4) gone.abort();
    }
    expect(heard).toEqual(['retry: 1000\n\n', ...Array.from({ length: 3 }, () => ': heartbeat\n\n')]);
    expect(internals(pawl).runtime.waiting).toBe(0);
    await pawl.cancelWorkflow('silent');
  });

  test('a process that stops ends its streams without an end', async () => {
    const runner = await launch(database.url, counting);
    const pawl = await launch(database.url);
    const port = await listen(onExpress(pawl));
    await runner.startWorkflow('counting', { workflowID: 'stopped' })(1);
    const stream = await openStream(port, '/workflows/stopped/events');
    const poll = ask(port, '/workflows/stopped/result?wait=60');
    await becomes(() => internals(pawl).runtime.waiting === 2);
    await pawl.shutdown({ graceSeconds: 0 });
    await stream.ended;
    expect(stream.response.complete).toBe(true);
    expect(stream.events()).toEqual([]);
    expect(await poll).toMatchObject({ status: 503, headers: { 'retry-after': expect.any(String) } });
    expect((await ask(port, '/workflows/stopped/events')).status).toBe(503);
    await runner.cancelWorkflow('stopped');
  });

  test('compressing middleware in front holds no event back', async () => {
    const pawl = await launch(database.url, counting);
    const apps = [
      express()
        .use(compression({ threshold: 0 }))
        .use(onExpress(pawl)),
      new Koa()
        .use(compress({ threshold: 0 }))
        .use(mount('/workflows', pawlKoa(pawl, { scope: 'global' }).workflows(routes)))
        .callback(),
    ];
    for (const [index, app] of apps.entries()) {
      const id = `packed-${index}`;
      const handle = await pawl.startWorkflow('counting', { workflowID: id })(2);
      const port = await listen(app);
      const headers = { 'Accept-Encoding': 'gzip, br' };
      const stream = await openStream(port, `/workflows/${id}/events`, headers);
      expect(stream.response.headers['content-encoding']).toBeUndefined();
      await pawl.send(id, 1, 'go');
      await stream.until('data: 1\n');
      const status = await openStream(port, `/workflows/${id}`, headers);
      expect(status.response.headers['content-encoding']).toMatch(/gzip|br/);
      await pawl.send(id, 2, 'go');
      await stream.ended;
      expect(numbers(stream.events())).toEqual([1, 2]);
      await handle.getResult();
    }
  });

  const children = new Set<ChildProcess>();
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  async function startProcess(framework: string, port: number) {
    const file = fileURLToPath(new URL('processes/streams.ts', import.meta.url));
    const flags = ['--import', 'tsx', '--conditions=@pawl/source'];
    const child = spawn(process.execPath, [...flags, file, framework, database.url, String(port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.add(child);
    const [said] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    return {
      port: Number(said),
      async kill() {
        child.kill('SIGKILL');
        await once(child, 'exit');
        children.delete(child);
      },
    };
  }

  test('over a crash of the server each event comes once, in order', { timeout: 120_000 }, async () => {
    const first = await startProcess('express5', 0);
    const { port } = first;
    expect((await ask(port, '/start/crash', { method: 'POST', body: '' })).status).toBe(202);
    const seen: number[] = [];
    const clients = upTo(4).map((n) =>
      followAll([port], 'crash', (count) => {
        seen[n] = count;
        return false;
      }),
    );
    await becomes(() => upTo(4).every((n) => (seen[n] ?? 0) >= 5), 60);
    await first.kill();
    // The same port, so that the clients find it again, as browsers do. An id means the same to every process.
    const second = await startProcess('koa3', port);
    for (const events of await Promise.all(clients)) expect(numbers(events)).toEqual(upTo(30));
    await second.kill();
  });
});

test.skipIf(noPgBouncer)('behind a transaction pooler events come with the tick', async () => {
  const [database, bouncer] = [await createDatabase(), await startPgBouncer()];
  try {
    const url = bouncer.through(database.url);
    const [runner, other] = [await launch(url, counting), await launch(url)];
    const port = await listen(onExpress(other));
    const handle = await runner.startWorkflow('counting', { workflowID: 'pooled' })(3);
    const seen = followAll([port], 'pooled');
    for (let n = 1; n <= 3; n += 1) await runner.send('pooled', n, 'go');
    await handle.getResult();
    expect(numbers(await seen)).toEqual([1, 2, 3]);
  } finally {
    await Promise.all(pawls.splice(0).map((pawl) => pawl.shutdown({ graceSeconds: 0 })));
    await bouncer.stop();
    await database.drop();
  }
});

test('a stream outlives the database', { timeout: 60_000 }, async () => {
  const postgres = await startPostgres();
  try {
    const pawl = await launch(postgres.url, counting);
    const port = await listen(onExpress(pawl));
    await pawl.startWorkflow('counting', { workflowID: 'away' })(3);
    const stream = await openStream(port, '/workflows/away/events');
    await pawl.send('away', 1, 'go');
    await stream.until('data: 1\n');
    await postgres.stop();
    // Word of an event that nobody can read yet.
    internals(pawl).runtime.executor.onHint('away');
    await stream.until(': heartbeat\n');
    await postgres.start();
    for (let n = 2; n <= 3; n += 1)
      for (let sent = false; !sent;)
        sent = await pawl.send('away', n, 'go', { idempotencyKey: `go-${n}` }).then(
          () => true,
          () => false,
        );
    await stream.ended;
    expect(numbers(stream.events())).toEqual([1, 2, 3]);
  } finally {
    await Promise.all(pawls.splice(0).map((pawl) => pawl.shutdown({ graceSeconds: 0 })));
    await postgres[Symbol.asyncDispose]();
  }
});
