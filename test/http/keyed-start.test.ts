// A key that is new and the workflow that it stands for are one write: what that costs, whose answer was lost, and who else
// wants the key at the same moment.
import { createServer, type Server } from 'node:http';
import { Pawl } from '@pawl/core';
import { pawlExpress } from '@pawl/express';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import express from 'express';
import pg from 'pg';
import request from 'supertest';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';

interface Shop {
  pawl: Pawl;
  server: Server;
  statements: string[];
}

let database: TestDatabase;
let shops: Shop[] = [];
let runs = 0;

beforeEach(async () => {
  runs = 0;
  database = await createDatabase();
});
afterEach(async () => {
  for (const { server } of shops) server.close();
  await Promise.all(shops.map(({ pawl }) => pawl.shutdown({ graceSeconds: 0 })));
  shops = [];
  await database.drop();
});

async function open(): Promise<Shop> {
  const pawl = new Pawl({ database: database.url, logger: quiet });
  const buy = pawl.registerWorkflow(
    async (order: { sku: string }) => ({ sku: order.sku, run: await pawl.runStep(async () => (runs += 1)) }),
    { name: 'buy' },
  );
  const app = express();
  app.use(express.json());
  app.post('/orders', pawlExpress(pawl, { scope: 'global' }).endpoint(buy));
  const shop: Shop = { pawl, server: createServer(app).listen(0, '127.0.0.1'), statements: [] };
  internals(pawl).events.on('statement', ({ text }) => {
    const called = /pawl"?\.(\w+)\(/.exec(text)?.[1] ?? '';
    if (/^(flush|http)/.test(called)) shop.statements.push(called);
  });
  shops.push(shop);
  await pawl.launch();
  return shop;
}

const post = ({ server }: Shop, key: string) =>
  request(server).post('/orders').set('Idempotency-Key', key).send({ sku: 'cog' });

/** The connection dies once the call that starts a keyed workflow is through. */
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

test('a request with a new key costs one round trip for key and start, one for its step, its end and its record', async () => {
  const shop = await open();
  await post(shop, 'warm').expect(200);
  shop.statements.length = 0;
  await post(shop, 'new').expect(200);
  expect(shop.statements).toEqual(['flush', 'flush_one_step', 'flush_one_end', 'http_settle']);
});

test('one whose answer was lost runs once, and is answered', async () => {
  const shop = await open();
  const { restore, lost } = loseAnswer();
  try {
    const answer = await post(shop, 'k').expect(200);
    expect([answer.body, lost(), runs]).toEqual([{ sku: 'cog', run: 1 }, 1, 1]);
  } finally {
    restore();
  }
  const again = await post(shop, 'k').expect(200);
  expect([again.body, again.headers['idempotent-replayed']]).toEqual([{ sku: 'cog', run: 1 }, 'true']);
  expect((await shop.pawl.listWorkflows()).workflows).toHaveLength(1);
});

test('one whose key somebody holds is told within three seconds, and may come again', async () => {
  const shop = await open();
  await post(shop, 'warm').expect(200);
  const holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
  try {
    await holder.query('BEGIN; LOCK TABLE pawl.http_request IN EXCLUSIVE MODE');
    const refused = await post(shop, 'k').expect(503);
    expect(refused.body).toMatchObject({ code: 'database-unavailable', retryable: true });
    expect(runs).toBe(1);
    await holder.query('ROLLBACK');
    await post(shop, 'k').expect(200);
    expect(runs).toBe(2);
  } finally {
    await holder.end();
  }
});

test('many at once in two processes with few keys: one workflow and one answer for each key', async () => {
  const both = [await open(), await open()];
  const keys = ['a', 'b', 'c', 'd', 'e'];
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, n) => {
      const key = keys[n % keys.length] as string;
      const { status, text } = await post(both[n % 2] as Shop, key);
      return `${key} ${status} ${text}`;
    }),
  );
  expect(new Set(answers).size).toBe(keys.length);
  expect(runs).toBe(keys.length);
  expect((await both[0]?.pawl.listWorkflows())?.workflows).toHaveLength(keys.length);
});
