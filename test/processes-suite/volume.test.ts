// Much at once, long journals, large values.
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWorkers, type Workers } from './workers.ts';

let database: TestDatabase;
let workers: Workers;

beforeAll(async () => {
  database = await createDatabase();
  workers = createWorkers(database.url);
});

afterAll(async () => {
  await workers.end();
  await database.drop();
});

test('a thousand workflows at once, of one step or one transaction, are served by a pool of five', async () => {
  const worker = await workers.start({ config: { poolSize: 5 } });
  const steps = await worker.call('startMany', 1000, 'one');
  const transactions = await worker.call('startMany', 1000, 'transact');
  console.log(`1,000 steps in ${steps.toFixed(0)} ms, 1,000 transactions in ${transactions.toFixed(0)} ms`);
  await worker.kill();
});

test('a workflow of 10,000 steps runs, and is recovered from its journal', async () => {
  const sum = (10_000 * 9_999) / 2;
  const first = await workers.start();
  const begun = Date.now();
  await first.call('start', 'count', 'long', 10_000, true);
  await expect
    .poll(async () => (await first.call('status', 'long'))?.status, { timeout: 100 })
    .toBe('PENDING');
  await expect
    .poll(async () => (await first.call('steps', 'long')).length, { timeout: 60_000, interval: 250 })
    .toBe(10_001);
  const ran = Date.now() - begun;
  await first.kill();
  const second = await workers.start();
  const ready = Date.now();
  await second.call('send', 'long', 'go');
  expect(await second.call('result', 'long')).toBe(sum);
  console.log(`10,000 steps in ${ran} ms, recovered in ${Date.now() - ready} ms`);
  await second.kill();
}, 90_000);

test('a result of five megabytes is recorded, recovered, and returned', async () => {
  const length = 5 * 2 ** 19; // each character takes two bytes
  const first = await workers.start();
  await first.call('start', 'blob', 'large', length);
  await expect
    .poll(async () => (await first.call('steps', 'large')).length, { timeout: 20_000, interval: 50 })
    .toBe(2);
  await first.kill();
  const second = await workers.start();
  await second.call('send', 'large', 'go');
  expect(((await second.call('result', 'large')) as string) === 'ä'.repeat(length)).toBe(true);
  expect(workers.notes('large', 'blob')).toHaveLength(1);
  await second.kill();
});
