// The answer of an endpoint is recorded by the write that ends its workflow: what that costs, what becomes of it when the
// answer of that write is lost or the key's row is held, and who goes the longer way.
import { AsyncLocalStorage } from 'node:async_hooks';
import { createServer, type Server } from 'node:http';
import { Pawl } from '@pawl/core';
import { pawlExpress } from '@pawl/express';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import express from 'express';
import pg from 'pg';
import request from 'supertest';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';

let database: TestDatabase;
let pawl: Pawl;
let server: Server;
let runs = 0;
/** Of requests that `hold` their workflows. */
const held: { release?: (() => void) | undefined } = {};
const statements: string[] = [];
const tenants = new AsyncLocalStorage<string>();
const replied: unknown[] = [];

interface Order {
  sku: string;
  hold?: boolean;
  /** The same, outside a step: the next that it writes is its end. */
  pause?: boolean;
  size?: number;
}

beforeAll(async () => {
  database = await createDatabase();
  pawl = new Pawl({ database: database.url, logger: quiet });
  const buy = pawl.registerWorkflow(
    async ({ sku, hold, pause, size }: Order) => {
      const run = await pawl.runStep(async () => (runs += 1), { name: 'buy' });
      if (hold)
        await pawl.runStep(() => new Promise<void>((resolve) => (held.release = resolve)), { name: 'held' });
      if (pause) await new Promise<void>((resolve) => (held.release = resolve));
      return { sku, run, ...(size && { text: 'x'.repeat(size) }) };
    },
    { name: 'buy' },
  );
  const app = express();
  app.use(express.json(), (_req, _res, next) => tenants.run('acme', next));
  const http = pawlExpress(pawl, { scope: 'global' });
  app.post('/orders', http.endpoint(buy));
  app.post(
    '/replies',
    http.endpoint(buy, {
      reply: (order, req) => {
        replied.push([tenants.getStore(), pawl.workflowID, req.path]);
        return { status: 201, headers: { Location: `/orders/${order.sku}` }, json: order };
      },
    }),
  );
  app.post(
    '/slow-replies',
    http.endpoint(buy, {
      reply: async (order) => ({ status: 201, json: [await Promise.resolve(order.sku)] }),
    }),
  );
  app.post(
    '/thenable-replies',
    http.endpoint(buy, {
      // As a query builder gives.
      // oxlint-disable-next-line unicorn/no-thenable -- that is what makes it one
      reply: (order) => ({ then: (done: (reply: unknown) => void) => done({ json: [order.sku] }) }) as never,
    }),
  );
  let made = 0;
  app.post('/counted-replies', http.endpoint(buy, { reply: () => ({ json: { made: (made += 1) } }) }));
  let faults = 0;
  app.post(
    '/faulty-replies',
    http.endpoint(buy, {
      reply: (order) => {
        if ((faults += 1) < 3) throw Object.assign(new Error('no such page'), { status: 502 });
        return { json: order.sku };
      },
    }),
  );
  server = createServer(app).listen(0, '127.0.0.1');
  internals(pawl).events.on('statement', ({ text }) => {
    const called = /pawl"?\.(\w+)\(/.exec(text)?.[1] ?? '';
    if (/^(flush|http)/.test(called)) statements.push(called);
  });
  await pawl.launch();
  await post('/orders', 'warm').expect(200);
});

beforeEach(() => {
  runs = 0;
  held.release = undefined;
  statements.length = 0;
  replied.length = 0;
});

afterAll(async () => {
  server.close();
  await pawl.shutdown({ graceSeconds: 0 });
  await database.drop();
});

const post = (path: string, key: string, order: Partial<Order> = {}) =>
  request(server)
    .post(path)
    .set('Idempotency-Key', key)
    .send({ sku: 'cog', ...order });

function letGo(): void {
  held.release?.();
  held.release = undefined;
}

/** How many connections wait for a lock of this one's. */
async function waits(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))`,
  );
  return rows[0]?.count ?? 0;
}

/** Nobody is left who waits. */
const waiting = () => internals(pawl).runtime.engine.endingRequests.size;

/** The connection dies once the call that ends a workflow with an answer is through. */
function loseAnswer(): { restore: () => void; lost: () => number } {
  type Sent = (this: pg.Client, ...args: unknown[]) => unknown;
  const prototype = pg.Client.prototype as unknown as { query: Sent };
  const query = prototype.query;
  let lost = 0;
  prototype.query = function (...args) {
    const [config] = args as [{ text?: string; callback?: (error: unknown, rows: unknown) => void }];
    if (lost === 0 && config.text?.includes('k_op =>') === true && config.callback !== undefined) {
      lost++;
      const { callback } = config;
      const { stream } = (this as unknown as { connection: { stream: { destroy(): void } } }).connection;
      config.callback = (_error, rows) => {
        stream.destroy();
        callback(Object.assign(new Error('the answer was lost'), { code: 'ECONNRESET' }), rows);
      };
    }
    return query.apply(this, args);
  };
  return { restore: () => void (prototype.query = query), lost: () => lost };
}

test('a new key costs four commits, and its replay one look; both give the same bytes', async () => {
  const first = await post('/orders', 'new').expect(200);
  expect(statements).toEqual(['http_claim', 'flush', 'flush_one_step', 'flush']);
  const again = await post('/orders', 'new').expect(200);
  expect(statements.slice(4)).toEqual(['http_claim']);
  expect([again.text, again.headers['idempotent-replayed'], runs]).toEqual([first.text, 'true', 1]);
  expect(first.headers['idempotency-stored']).toBeUndefined();
  expect(waiting()).toBe(0);
});

test('the app makes its reply once, as part of the request and not of the workflow', async () => {
  const first = await post('/replies', 'r').expect(201).expect('Location', '/orders/cog');
  expect(replied).toEqual([['acme', undefined, '/replies']]);
  const again = await post('/replies', 'r').expect(201).expect('Location', '/orders/cog');
  expect([again.text, replied.length]).toEqual([first.text, 1]);
});

test('when the answer of that write is lost, the request is answered, and its answer stands', async () => {
  const { restore, lost } = loseAnswer();
  try {
    const first = await post('/orders', 'lost').expect(200);
    expect([first.body, first.headers['idempotency-stored'], lost(), runs]).toEqual([
      { sku: 'cog', run: 1 },
      undefined,
      1,
      1,
    ]);
  } finally {
    restore();
  }
  const again = await post('/orders', 'lost').expect(200);
  expect([again.body, again.headers['idempotent-replayed']]).toEqual([{ sku: 'cog', run: 1 }, 'true']);
});

test('the one who asked gets the very bytes that are recorded, though the answer of that write was lost', async () => {
  const { restore, lost } = loseAnswer();
  const first = await post('/counted-replies', 'counted').expect(200);
  restore();
  const again = await post('/counted-replies', 'counted').expect(200);
  expect([first.body, again.body, lost()]).toEqual([{ made: 1 }, { made: 1 }, 1]);
});

test('a run whose end was refused gives no answer for the run after it', async () => {
  const first = post('/orders', 'again', { pause: true }).then((response) => response);
  await expect.poll(() => held.release).toBeDefined();
  const { workflows } = await pawl.listWorkflows({ status: 'PENDING' });
  expect(workflows).toHaveLength(1);
  const id = String(workflows[0]?.workflowID);
  // Somebody deletes it while its end waits for the row.
  const other = new pg.Client({ connectionString: database.url });
  await other.connect();
  await other.query('BEGIN');
  await other.query(`DELETE FROM pawl.step WHERE workflow_id = $1`, [id]);
  await other.query(`DELETE FROM pawl.workflow WHERE id = $1`, [id]);
  letGo();
  await expect.poll(async () => (await waits(other)) > 0).toBe(true);
  await other.query('COMMIT');
  await other.end();
  await expect.poll(() => internals(pawl).runtime.engine.activations.has(id)).toBe(false);

  const second = post('/orders', 'again', { pause: true }).then((response) => response);
  await expect.poll(() => held.release).toBeDefined();
  letGo();
  const answers = await Promise.all([first, second]);
  expect(answers.map(({ status, body }) => [status, body])).toEqual([
    [200, { sku: 'cog', run: 2 }],
    [200, { sku: 'cog', run: 2 }],
  ]);
  expect(await pawl.retrieveWorkflow(id).getResult()).toEqual({ sku: 'cog', run: 2 });
});

test('a reply that takes its time, or a large one, is recorded after the end', async () => {
  const large = await post('/orders', 'large', { size: 20_000 }).expect(200);
  expect(statements.at(-1)).toBe('http_settle');
  expect((await post('/orders', 'large', { size: 20_000 }).expect(200)).text).toBe(large.text);
  statements.length = 0;
  expect((await post('/slow-replies', 'slow').expect(201)).body).toEqual(['cog']);
  expect(statements.at(-1)).toBe('http_settle');
  expect((await post('/slow-replies', 'slow').expect(201)).headers['idempotent-replayed']).toBe('true');
  expect((await post('/thenable-replies', 'thenable').expect(200)).body).toEqual(['cog']);
});

test('a reply that throws is the app’s error, and the next try gets one', async () => {
  await post('/faulty-replies', 'faulty').expect(502);
  expect((await post('/faulty-replies', 'faulty').expect(200)).body).toBe('cog');
  expect(runs).toBe(1);
});

test('an end does not wait for whoever holds the row of the key', async () => {
  const holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
  const asked = post('/orders', 'held', { hold: true }).then((response) => response);
  try {
    await expect.poll(() => held.release).toBeDefined();
    await holder.query('BEGIN');
    await holder.query(`SELECT FROM pawl.http_request WHERE state = 'running' FOR UPDATE`);
    letGo();
    await expect
      .poll(async () => (await pawl.listWorkflows({ limit: 1 })).workflows[0]?.status, { timeout: 10_000 })
      .toBe('SUCCESS');
    const first = await asked;
    expect([first.status, first.headers['idempotency-stored']]).toEqual([200, 'false']);
  } finally {
    await holder.query('ROLLBACK');
    await holder.end();
  }
  await expect
    .poll(async () => (await post('/orders', 'held', { hold: true })).headers['idempotent-replayed'])
    .toBe('true');
  expect(runs).toBe(1);
});

test('one that waits no longer leaves nothing behind; the next one makes the answer', async () => {
  await post('/orders', 'left', { hold: true }).set('Prefer', 'respond-async').expect(202);
  await expect.poll(() => held.release).toBeDefined();
  expect(waiting()).toBe(0);
  letGo();
  const answer = await post('/orders', 'left', { hold: true }).expect(200);
  expect(answer.body).toEqual({ sku: 'cog', run: 1 });
  expect((await post('/orders', 'left', { hold: true }).expect(200)).headers['idempotent-replayed']).toBe(
    'true',
  );
});
