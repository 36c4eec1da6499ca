// docs/checkout.md: its shop sells, and does not, as the page says.
import type { Server } from 'node:http';
import type { Pawl } from '@pawl/core';
import request from 'supertest';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { samplesIn } from './samples.ts';
import { asked } from './surroundings/your-checkout.ts';

const { sample, run, save, sql, atEnd } = samplesIn('docs/checkout.md');
let server: Server;
let pawl: Pawl;
let nobodyPays: (pawl: Pawl, orderID: string) => Promise<unknown>;

beforeAll(async () => {
  const shop = sample('class SoldOutError', { 'listen(3000)': "listen(0, '127.0.0.1')" });
  ({ server, pawl } = await run<{ server: Server; pawl: Pawl }>(
    'shop',
    shop,
    'CREATE TABLE stock (item text, items_left int, sold int)',
  ));
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
  atEnd(() => new Promise((resolve) => server.close(resolve)));
  ({ nobodyPays } = (await import(save('trial', sample('function nobodyPays')))) as never);
});

beforeEach(async () => {
  asked.length = 0;
  await sql(`DELETE FROM stock; INSERT INTO stock VALUES ('cup', 1, 0)`);
});

const buy = (key: string) =>
  request(server).post('/checkout').set('x-user', 'ada').set('Idempotency-Key', key).send({ item: 'cup' });
const stock = () => sql('SELECT items_left, sold FROM stock');

test('two clicks and a payment are one order', async () => {
  const [one, two] = await Promise.all([buy('paid'), buy('paid')]);
  expect([one.status, two.status]).toEqual([201, 201]);
  expect(two.text).toBe(one.text);
  const { orderID } = one.body as { orderID: string };
  expect(asked).toEqual([`create ${orderID}`]);
  await pawl.send(orderID, { status: 'paid' }, 'payment');
  const result = request(server).get(`/workflows/${orderID}/result?wait=20`);
  expect((await result.set('x-user', 'ada').expect(200)).body).toEqual({ orderID, paid: true });
  await request(server).get(`/workflows/${orderID}`).set('x-user', 'eve').expect(404);
  expect(await stock()).toEqual([{ items_left: 0, sold: 1 }]);
});

test('who comes too late is told so, and told the same again', async () => {
  const { orderID } = (await buy('first').expect(201)).body as { orderID: string };
  const late = await buy('late').expect(409);
  expect(late.body).toMatchObject({ code: 'sold-out', title: 'Sold out', detail: 'No more cup.' });
  expect((await buy('late').expect(409)).text).toBe(late.text);
  await pawl.cancelWorkflow(orderID);
});

test('what nobody pays for is back in the shop after a quarter of an hour', async () => {
  const { orderID } = (await buy('unpaid').expect(201)).body as { orderID: string };
  expect(await stock()).toEqual([{ items_left: 0, sold: 0 }]);
  expect(await nobodyPays(pawl, orderID)).toEqual({ orderID, paid: false });
  expect(asked).toEqual([`create ${orderID}`, `close ${orderID}`]);
  expect(await stock()).toEqual([{ items_left: 1, sold: 0 }]);
});
