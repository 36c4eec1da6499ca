import { afterAll, beforeAll, expect, test } from 'vitest';
import { serverURL } from '@pawl/test-support';
import { Pawl, WorkflowTimeoutError } from '../index.ts';
import { TestClock, testDatabase, type TestDatabase } from './index.ts';

let database: TestDatabase;
let pawl: Pawl;
let peer: Pawl;
let clock: TestClock;
const DAY = 86_400_000;

const workflows = (on: Pawl) => ({
  nap: on.registerWorkflow(
    async (ms: number) => {
      await on.sleep(ms);
      return (await on.now()).getTime();
    },
    { name: 'nap' },
  ),
  week: on.registerWorkflow(
    async (days: number) => {
      const times: number[] = [];
      for (let day = 0; day < days; day++) {
        await on.sleep('1d');
        times.push((await on.now()).getTime());
      }
      return times;
    },
    { name: 'week' },
  ),
  ask: on.registerWorkflow(() => on.recv<string>('answer', 3600), { name: 'ask' }),
  slow: on.registerWorkflow(() => on.recv<string>('never', Infinity), { name: 'slow', timeout: '2h' }),
  stubborn: on.registerWorkflow(
    () =>
      on.runStep(({ attempt }) => (attempt < 4 ? Promise.reject(new Error('not yet')) : attempt), {
        name: 'try',
        retriesAllowed: true,
        maxAttempts: 5,
        intervalSeconds: 600,
        jitter: false,
      }),
    { name: 'stubborn' },
  ),
});
let own: ReturnType<typeof workflows>;

beforeAll(async () => {
  database = await testDatabase({ url: serverURL() });
  pawl = new Pawl(database);
  peer = new Pawl(database);
  own = workflows(pawl);
  workflows(peer);
  await pawl.launch();
  await peer.launch();
  clock = new TestClock(pawl, peer);
});

afterAll(async () => {
  await pawl.shutdown();
  await peer.shutdown();
  await database.drop();
});

test('a sleep of a month is over when the clock is put forward by a month, not before', async () => {
  const before = await clock.now();
  const handle = await pawl.startWorkflow(own.nap)(30 * DAY);
  await clock.advance('29d');
  expect((await handle.getStatus())?.status).toBe('PENDING');
  await clock.advance('1d');
  expect((await handle.getStatus())?.status).toBe('SUCCESS');
  const woke = await handle.getResult();
  expect(woke - before.getTime()).toBeGreaterThanOrEqual(30 * DAY);
  expect(woke - before.getTime()).toBeLessThan(30 * DAY + 30_000);
});

test('a short sleep in memory follows the clock as well', async () => {
  const handle = await pawl.startWorkflow(own.nap)(4_000);
  await clock.advance('1s');
  expect((await handle.getStatus())?.status).toBe('PENDING');
  await clock.advance('3s');
  expect((await handle.getStatus())?.status).toBe('SUCCESS');
});

test('what is due one after the other happens one after the other', async () => {
  const handle = await pawl.startWorkflow(own.week)(7);
  await clock.advance('6d');
  expect((await handle.getStatus())?.status).toBe('PENDING');
  await clock.advance('1d');
  expect((await handle.getStatus())?.status).toBe('SUCCESS');
  const times = await handle.getResult();
  for (let day = 1; day < 7; day++) {
    const apart = (times[day] ?? 0) - (times[day - 1] ?? 0);
    expect(apart).toBeGreaterThanOrEqual(DAY);
    expect(apart).toBeLessThan(DAY + 5_000);
  }
});

test('the time of a recv, of a workflow and between attempts passes', async () => {
  const ask = await pawl.startWorkflow(own.ask)();
  const slow = await pawl.startWorkflow(own.slow)();
  const stubborn = await pawl.startWorkflow(own.stubborn)();
  await clock.advance('59m');
  expect((await ask.getStatus())?.status).toBe('PENDING');
  await clock.advance('2m');
  expect(await ask.getResult()).toBeNull();
  expect((await slow.getStatus())?.status).toBe('PENDING');
  await clock.advance('1h');
  await expect(slow.getResult()).rejects.toBeInstanceOf(WorkflowTimeoutError);
  // 10, 20 and 40 minutes of pauses.
  expect(await stubborn.getResult()).toBe(4);
});

test('the living keep their leases when the clock is put forward', async () => {
  await clock.advance('1h');
  await clock.advance('1h');
  const executors = await pawl.listExecutors();
  expect(executors.map(({ goneAt }) => goneAt)).toEqual([null, null]);
  const now = (await clock.now()).getTime();
  for (const { leaseUntil } of executors) expect(leaseUntil).toBeGreaterThan(now);
});

test('it is real time again after reset', async () => {
  await clock.reset();
  expect(Math.abs((await clock.now()).getTime() - Date.now())).toBeLessThan(5_000);
});
