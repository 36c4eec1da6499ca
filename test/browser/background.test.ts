// What the widget store does behind its page, over crashes: the queue of its dispatch, and the clock that ends what is
// not paid.
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Shop } from '../../examples/widget-store/src/shop.ts';
import { type RunningShop, startShop } from '../../examples/widget-store/src/start-shop.ts';
import { runHere } from '../cli/command-line.ts';

interface Placed {
  orderID: string;
  url: string;
}

let database: TestDatabase;
let client: pg.Client;
let shop: RunningShop;

beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  // So long that only what a test makes older is overdue, whenever the clock ticks.
  const env = { STAGE_MILLISECONDS: '150', UNPAID_SECONDS: '3600' };
  shop = await startShop({ server: 'express', databaseURL: database.url, env });
});

afterAll(async () => {
  await shop?.stop();
  await client?.end();
  await database?.drop();
});

/** Asks until the shop is there. */
async function ask(path: string, init?: RequestInit): Promise<Response> {
  for (;;) {
    const response = await fetch(new URL(path, shop.url), init).catch(() => undefined);
    if (response !== undefined && response.status < 500) return response;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const read = async () => (await (await ask('/shop')).json()) as Shop;

async function place(key: string): Promise<Placed> {
  const response = await ask('/orders', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
    body: JSON.stringify({ product: 'widget' }),
  });
  expect(response.status).toBe(201);
  return (await response.json()) as Placed;
}

const pay = ({ url }: Placed) =>
  ask(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: 'decision=confirm',
    redirect: 'manual',
  });

const pawl = async (...args: string[]): Promise<string> => {
  const { exitCode, stdout } = await runHere([...args, '--database', database.url]);
  expect(exitCode).toBe(0);
  return stdout.trim();
};

const trigger = () => pawl('schedule', 'trigger', 'cancel-unpaid');

test('an order that is not paid ends cancelled and its widget is back, exactly once, over crashes; paid ones are left alone', async () => {
  const before = await read();
  const paid = await place('paid');
  await pay(paid);
  const unpaid = await Promise.all(['walks-away-1', 'walks-away-2', 'walks-away-3'].map(place));
  const fresh = await place('still-thinking');
  const overdue = [paid, ...unpaid].map(({ orderID }) => orderID);
  await client.query(
    `UPDATE shop.orders SET created_at = created_at - interval '2 hours' WHERE id = ANY ($1)`,
    [overdue],
  );

  // It dies where the order is cancelled and the widget back, and none of it is committed.
  expect((await ask('/crash?step=cancel%20order&when=during', { method: 'PUT' })).status).toBe(200);
  const processes = shop.processes;
  const runs = await Promise.all([trigger(), trigger()]);
  await expect.poll(() => shop.processes, { timeout: 30_000 }).toBe(processes + 1);
  runs.push(await trigger());
  shop.kill();

  const states = async () => {
    const orders = new Map((await read()).orders.map((order) => [order.id, order]));
    return [paid, ...unpaid, fresh].map(({ orderID }) => {
      const order = orders.get(orderID);
      return `${order?.status}${order?.reason === null ? '' : `: ${order?.reason}`}`;
    });
  };
  const gone = 'cancelled: not paid in time';
  await expect.poll(states, { timeout: 60_000 }).toEqual(['delivered', gone, gone, gone, 'awaiting payment']);
  const ended = async () =>
    (
      await client.query(
        `SELECT sum(output::int)::int AS told, count(*) FILTER (WHERE status = 'SUCCESS')::int AS ended
         FROM pawl.workflow WHERE id = ANY ($1)`,
        [runs],
      )
    ).rows;
  await expect.poll(ended, { timeout: 30_000 }).toEqual([{ told: 3, ended: 3 }]);
  expect((await read()).books).toEqual({
    supplied: before.books.supplied,
    stock: before.books.stock - 2,
    ordered: before.books.ordered + 2,
    reserved: 0,
  });
  // Whoever thinks for long may pay as long as nobody has closed the payment.
  await pay(fresh);
  await expect.poll(states, { timeout: 30_000 }).toEqual(['delivered', gone, gone, gone, 'delivered']);
}, 120_000);

test('five orders are dispatched at a time, however many are paid at once and whoever dies meanwhile', async () => {
  await pawl('queue', 'pause', 'dispatch');
  const orders = await Promise.all(Array.from({ length: 12 }, (_, i) => place(`rush-${i}`)));
  await Promise.all(orders.map(pay));
  const ids = orders.map(({ orderID }) => `${orderID}-dispatch`);
  const count = async (status: string) => {
    const { rows } = await client.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM pawl.workflow WHERE id = ANY ($1) AND status = $2',
      [ids, status],
    );
    return rows[0]?.n ?? 0;
  };
  await expect.poll(() => count('ENQUEUED'), { timeout: 30_000 }).toBe(12);
  await pawl('queue', 'resume', 'dispatch');
  await expect.poll(() => count('SUCCESS'), { timeout: 30_000, interval: 20 }).toBeGreaterThan(0);
  shop.kill();
  await expect.poll(() => count('SUCCESS'), { timeout: 60_000 }).toBe(12);
  // A slot is held from the claim to the end.
  const { rows } = await client.query<{ most: number; queues: string[] }>(
    `WITH d AS (SELECT * FROM pawl.workflow WHERE id = ANY ($1))
     SELECT max((SELECT count(*) FROM d o WHERE o.started_at <= d.started_at AND o.completed_at > d.started_at))::int AS most,
       array_agg(DISTINCT d.queue_name) AS queues FROM d`,
    [ids],
  );
  expect(rows).toEqual([{ most: 5, queues: ['dispatch'] }]);
  const shown = await read();
  for (const { orderID } of orders)
    expect(shown.orders.find(({ id }) => id === orderID)?.stages).toEqual([
      'pick',
      'pack',
      'ship',
      'deliver',
    ]);
}, 120_000);
