// Cancelling from another process, and going on elsewhere.
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Program } from './process.ts';
import type { Worker } from './processes/worker.ts';
import { createWorkers, type Workers, within } from './workers.ts';

let database: TestDatabase;
let workers: Workers;
let runner: Program<Worker>;
let other: Program<Worker>;

beforeAll(async () => {
  database = await createDatabase();
  workers = createWorkers(database.url);
  [runner, other] = await Promise.all([workers.start(), workers.start()]);
});

afterAll(async () => {
  await workers.end();
  await database.drop();
});

const kinds: [kind: string, ...args: unknown[]][] = [
  ['sleeper', 4_000],
  ['receiver'],
  ['getter', 'announcer'],
  ['parent', 'the child'],
  ['stubborn'],
];

test.each(kinds)('a cancellation from another process ends a %s within a second', async (kind, ...args) => {
  await within(1000, 3, `${kind}: seen after it was asked for:`, async (attempt) => {
    const id = `${kind}-${String(args[0])}-${attempt}`.replaceAll(' ', '-');
    const given = kind === 'parent' ? [`child-of-${id}`] : args;
    await runner.call('start', kind, id, ...given);
    await workers.noted(id, 'before');
    await expect
      .poll(async () => (await other.call('steps', id)).length, { interval: 5 })
      .toBeGreaterThanOrEqual(kind === 'stubborn' ? 1 : 2);
    const asked = await other.call('cancel', id);
    const ended = await workers.noted(id, 'ended by WorkflowCancelledError');
    expect(ended.pid).toBe(runner.pid);
    expect((await other.call('status', id))?.status).toBe('CANCELLED');
    await expect(runner.call('result', id)).rejects.toThrow('AwaitedWorkflowCancelledError');
    return ended.at - asked;
  });
});

test('a parked workflow ends as well, and those who wait for it hear of it within a second', async () => {
  await within(1000, 3, 'parked: told after it was asked for:', async (attempt) => {
    const id = `parked-${attempt}`;
    await runner.call('start', 'sleeper', id, 60_000);
    await expect.poll(async () => (await other.call('status', id))?.parked, { interval: 5 }).toBe(true);
    const refused = expect(runner.call('result', id)).rejects.toThrow('AwaitedWorkflowCancelledError');
    const asked = await other.call('cancel', id);
    await refused;
    expect(workers.notes(id).map(({ what }) => what)).toEqual(['before']);
    return Date.now() - asked;
  });
});

test('what was cancelled goes on elsewhere, and repeats no completed step', async () => {
  const doomed = await workers.start();
  await other.call('start', 'announcer', 'announcer');
  const started: [kind: string, ...args: unknown[]][] = [
    ['sleeper', 2_000],
    ['receiver'],
    ['getter', 'announcer'],
    ['parent', 'resumed-child'],
    ['stubborn'],
  ];
  const id = (kind: string) => `resumed-${kind}`;
  for (const [kind, ...args] of started) await doomed.call('start', kind, id(kind), ...args);
  for (const [kind] of started) await workers.noted(id(kind), 'before');
  for (const [kind] of started) await other.call('cancel', id(kind));
  for (const [kind] of started) await workers.noted(id(kind), 'ended by WorkflowCancelledError');
  await doomed.kill();

  for (const [kind] of started) await other.call('resume', id(kind));
  await other.call('send', 'announcer', 'now');
  await other.call('send', id('receiver'), 'message');
  await other.call('send', 'resumed-child', 'to the child');
  expect(await other.call('result', id('sleeper'))).toBeUndefined();
  expect(await other.call('result', id('receiver'))).toBe('message');
  expect(await other.call('result', id('getter'))).toBeTypeOf('number');
  expect(await other.call('result', id('parent'))).toBe('to the child');
  expect(await other.call('result', id('stubborn'))).toBe('at last');
  for (const [kind] of started) {
    const notes = workers
      .notes(id(kind))
      .map(({ what }) => what)
      .filter((what) => what !== 'stubborn');
    expect(notes).toEqual(['before', 'ended by WorkflowCancelledError', 'after']);
  }
});
