// The widget store's other customers: a script that does not wait, and one who comes too late.
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { order } from '../../examples/widget-store/src/order.ts';
import { type RunningShop, startShop } from '../../examples/widget-store/src/start-shop.ts';

let database: TestDatabase;
let shop: RunningShop;

beforeAll(async () => {
  database = await createDatabase();
  shop = await startShop({ server: 'koa', databaseURL: database.url, env: { STAGE_MILLISECONDS: '300' } });
});

afterAll(async () => {
  await shop.stop();
  await database.drop();
});

test('a script orders without waiting, and follows its order over a crash until it is delivered', async () => {
  const lines: string[] = [];
  await order(shop.url, (line) => {
    lines.push(line);
    if (line.startsWith('progress 1/4')) shop.kill();
  });
  expect(lines).toEqual([
    expect.stringMatching(/^202 \/workflows\/\S+$/),
    expect.stringMatching(/^201 order \S+$/),
    expect.stringMatching(/^200 \{"reference":"\S+","paid":true\}$/),
    'progress 1/4 pick',
    'progress 2/4 pack',
    'progress 3/4 ship',
    'progress 4/4 deliver',
  ]);
  expect(shop.processes).toBe(2);
}, 60_000);

test('sold out is a 409 that stays one for its key, though there is stock again', async () => {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query('UPDATE shop.product SET stock = 0');
  const buy = () =>
    fetch(new URL('/orders', shop.url), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': 'comes-late' },
      body: JSON.stringify({ product: 'widget' }),
    });
  const first = await buy();
  expect(first.status).toBe(409);
  expect(first.headers.get('content-type')).toContain('application/problem+json');
  const body = await first.text();
  expect(JSON.parse(body)).toMatchObject({ code: 'sold-out', title: 'Sold out', retryable: false });
  await client.query('UPDATE shop.product SET stock = 5');
  await client.end();
  const again = await buy();
  expect([again.status, again.headers.get('idempotent-replayed'), await again.text()]).toEqual([
    409,
    'true',
    body,
  ]);
});
