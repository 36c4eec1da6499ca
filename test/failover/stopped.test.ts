// An owner that is stopped for longer than its lease while a peer takes over, and then goes on as if nothing had
// happened. By hand thirty times under load: FAILOVER=long npx vitest run test/failover/stopped
import { setTimeout as pause } from 'node:timers/promises';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFleet, expectOnce, type Fleet, type Member, written } from './fleet.ts';
import { createLoad } from './load.ts';

const ROUNDS = process.env['FAILOVER'] === 'long' ? 30 : 1;

let database: TestDatabase;
let fleet: Fleet;

beforeEach(async () => {
  database = await createDatabase();
  fleet = await createFleet(database.url, { config: { leaseSeconds: 1 } });
});

afterEach(async () => {
  await fleet.end();
  await database.drop();
});

/** Stops a process and waits until a peer runs these workflows. */
async function takenOver(sleepy: Member, peer: Member, workflowIDs: string[]): Promise<void> {
  await sleepy.kill('SIGSTOP');
  await expect.poll(() => peer.call('running')).toEqual(expect.arrayContaining(workflowIDs));
}

async function countGone(): Promise<number> {
  const [row] = await fleet.sql<{ count: number }>(
    'SELECT count(*)::int AS count FROM pawl.executor WHERE gone_at IS NOT NULL',
  );
  return row?.count ?? 0;
}

test('an owner that wakes up when its work is done writes nothing, and lets go of it', async () => {
  const [sleepy, peer] = await Promise.all([fleet.start(), fleet.start()] as const);
  const started: [name: string, ...args: unknown[]][] = [
    ['slow', 150],
    ['entering', 150],
    ['sleeper', 300],
    ['hesitant', 300],
    ['receiver'],
    ['long', 20],
  ];
  const ids = started.map(([name]) => name);
  for (const [name, ...args] of started) await sleepy.call('start', name, name, ...args);
  await Promise.all(
    [
      ['slow', 'slow'],
      ['entering', 'entry'],
      ['sleeper', 'before'],
      ['hesitant', 'before'],
      ['receiver', 'before'],
      ['long', 'step 2'],
    ].map(([id, what]) => fleet.noted(id as string, what as string)),
  );
  await takenOver(sleepy, peer, ['receiver', 'long']);
  await peer.call('send', 'receiver', 'hello');
  await peer.call('send', 'long', 'stop', 'stop');
  const results = await Promise.all(ids.map((id) => peer.call('result', id)));
  const before = await written(fleet);
  const woken = Date.now();
  await sleepy.kill('SIGCONT');
  await expect.poll(() => fleet.sql('SELECT 1 FROM pawl.executor')).toHaveLength(3);
  expect(await sleepy.call('running')).toEqual([]);
  await sleepy.call('start', 'slow', 'anew', 1);
  expect(await sleepy.call('result', 'anew')).toBe((await fleet.noted('anew', 'slow', sleepy.pid)).token);
  expect((await written(fleet)).filter((row) => !row.includes('anew'))).toEqual(before);
  expect(await Promise.all(ids.map((id) => sleepy.call('result', id)))).toEqual(results);
  // What had ended before the stop was not taken over.
  const attempts = async (id: string) => (await peer.call('status', id))?.recoveryAttempts;
  for (const id of ids) expect(await attempts(id)).toBeLessThanOrEqual(1);
  for (const id of ['receiver', 'long']) expect(await attempts(id)).toBe(1);
  await expectOnce(fleet);
  // Nor does it run what others have run meanwhile.
  const late = fleet.notes().filter((note) => note.pid === sleepy.pid && note.at >= woken);
  expect(late.filter((note) => note.workflowID !== 'anew')).toEqual([]);
}, 60_000);

test('one that is stopped with its checkpoint written and not committed holds nobody up for long', async () => {
  const [sleepy, peer] = await Promise.all([fleet.start(), fleet.start()] as const);
  await sleepy.call('start', 'halting', 'halting', sleepy.pid);
  expect(await peer.call('result', 'halting')).toBe('entered');
  const before = await written(fleet);
  await sleepy.kill('SIGCONT');
  expect(await sleepy.call('result', 'halting')).toBe('entered');
  expect(await written(fleet)).toEqual(before);
  expect(fleet.notes('halting').map(({ pid }) => pid)).toEqual([sleepy.pid, peer.pid]);
  await expectOnce(fleet);
});

test(
  'processes that are stopped under load for longer than their lease spoil nothing',
  async () => {
    await Promise.all([fleet.start(), fleet.start(), fleet.start()]);
    const load = await createLoad(database.url, fleet, 15);
    const members = [...fleet.members];
    for (let round = 0; round < ROUNDS; round++) {
      const sleepy = members[round % members.length] as Member;
      await pause(200 + Math.random() * 300);
      const gone = await countGone();
      await sleepy.kill('SIGSTOP');
      await expect.poll(countGone).toBeGreaterThan(gone);
      await pause(Math.random() * 1000);
      await sleepy.kill('SIGCONT');
    }
    const { orders, mostAttempts } = await load.finish();
    await load.close();
    await Promise.all(members.map((member) => expect.poll(() => member.call('running')).toEqual([])));
    console.log(
      `${orders} orders, ${ROUNDS} processes stopped, ${await countGone()} declared gone, ${mostAttempts} attempts`,
    );
  },
  ROUNDS * 6000 + 60_000,
);
