// A process that is stopped for longer than its lease, and wakes up when others do its work.
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

test('a process that wakes up after its lease writes nothing, begins anew, and works again', async () => {
  const config = { leaseSeconds: 1 };
  const [sleepy, peer] = await Promise.all([workers.start({ config }), workers.start({ config })]);
  await sleepy.call('start', 'steps', 'taken', 100, 20);
  await sleepy.call('start', 'receiver', 'waiting');
  await expect.poll(async () => (await peer.call('steps', 'waiting')).length).toBe(2);
  await workers.noted('taken', 'step 2');
  await sleepy.kill('SIGSTOP');
  await expect
    .poll(() => workers.notes('taken').some(({ pid }) => pid === peer.pid), { timeout: 15_000 })
    .toBe(true);
  await sleepy.kill('SIGCONT');
  const woken = Date.now();
  expect(await peer.call('result', 'taken')).toBe(100);
  // Beside the one that was cut off, each step ran once, and in order.
  const steps = workers.notes('taken').map(({ what }) => what);
  expect(new Set(steps).size).toBe(100);
  expect(steps.length).toBeLessThanOrEqual(102);
  const late = workers.notes('taken').filter(({ pid, at }) => pid === sleepy.pid && at > woken + 50);
  expect(late).toEqual([]);

  await expect
    .poll(async () => (await peer.call('executors')).filter(({ goneAt }) => goneAt === null).length)
    .toBe(2);
  await sleepy.call('send', 'waiting', 'hello');
  expect(await sleepy.call('result', 'waiting')).toBe('hello');
  expect(workers.notes('waiting').map(({ what }) => what)).toEqual(['before', 'after']);
  await sleepy.call('start', 'one', 'anew', 1);
  expect(await sleepy.call('result', 'anew')).toBe(1);
}, 60_000);
