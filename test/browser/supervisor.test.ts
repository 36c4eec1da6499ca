// What the supervisor of the widget store promises to whoever starts it, seen from its terminal.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startShop } from '../../examples/widget-store/src/start-shop.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

// On a server, where a start takes a second; the browser tests start the shop with the embedded database.
const start = () => startShop({ databaseURL: database.url });

test('a taken port is said in one line, with the way out', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => holder.once('listening', resolve));
  const { port } = holder.address() as AddressInfo;
  await expect(startShop({ port })).rejects.toThrow(
    `Port ${port} is taken. Choose another one: PORT=${port + 1}`,
  );
  holder.close();
});

test('Ctrl-C stops the shop with it, in order', async () => {
  const shop = await start();
  const pid = shop.pid!;
  expect(await shop.stop()).toBe(0);
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  await expect(fetch(shop.url)).rejects.toThrow();
});

test('a shop that is asked to stop with orders under way goes in order, and the next one goes on with them', async () => {
  const shop = await start();
  const order = (key: string) =>
    fetch(`${shop.url}/orders`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
      body: JSON.stringify({ product: 'widget' }),
    });
  const orders = Array.from({ length: 5 }, (_, i) => order(`before-${i}`));
  const first = (await orders[0]) as Response;
  expect(first.status).toBe(201);
  const pid = shop.pid!;
  process.kill(pid, 'SIGTERM');
  await expect.poll(() => shop.log.some((line) => line.includes('process 1 died: exit code 0'))).toBe(true);
  for (const answer of await Promise.all(orders)) expect([201, 503]).toContain(answer.status);
  await expect.poll(() => shop.pid ?? pid, { timeout: 60_000 }).not.toBe(pid);
  const { orderID } = (await first.json()) as { orderID: string };
  const again = await order('before-0');
  expect(again.status).toBe(201);
  expect(await again.json()).toMatchObject({ orderID });
  const status = await fetch(`${shop.url}/workflows/${orderID}`);
  expect(await status.json()).toMatchObject({ status: 'PENDING' });
  for (let i = 1; i < orders.length; i++) expect((await order(`before-${i}`)).status).toBe(201);
  await shop.stop();
}, 120_000);

test('a shop that cannot start ends the supervisor, which says why', async () => {
  const unreachable = 'postgres://nobody@127.0.0.1:1/none';
  await expect(startShop({ databaseURL: unreachable })).rejects.toThrow('The shop did not start');
});

test('the page is served with a policy that runs nothing but its own scripts', async () => {
  const shop = await start();
  const response = await fetch(shop.url);
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
  expect(await response.text()).not.toMatch(/<script(?![^>]*src=)|\son\w+=|style="/);
  await shop.stop();
});
