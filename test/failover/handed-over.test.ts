// A process that is asked to stop under load: it goes in time, and a peer goes on with what it ran.
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { within } from '../processes-suite/workers.ts';
import { createFleet, type Fleet, type Member } from './fleet.ts';
import { createLoad, type Load } from './load.ts';

const ROUNDS = process.env['FAILOVER'] === 'long' ? 20 : 4;
const GRACE_SECONDS = 1;
const HANDED_OVER = 20;

let database: TestDatabase;
let fleet: Fleet;
let load: Load;
let peer: Member;

beforeAll(async () => {
  database = await createDatabase();
  fleet = await createFleet(database.url, { env: { GRACE_SECONDS: String(GRACE_SECONDS) } });
  peer = await fleet.start();
  load = await createLoad(database.url, fleet, 10);
});

afterAll(async () => {
  await load.close();
  await fleet.end();
  await database.drop();
});

/** How long it took to stop, and from its end to the first and the last step elsewhere of what it handed over. */
async function leave(
  round: number,
  slow: boolean,
): Promise<{ stopping: number; first: number; last: number }> {
  const leaving = await fleet.start();
  const ids = Array.from({ length: HANDED_OVER }, (_, i) => `long-${round}-${i}`);
  for (const id of ids) await leaving.call('start', 'long', id, 30);
  const slowID = `slow-${round}`;
  if (slow) {
    // No grace is long enough for this one, unless it is the peer's.
    await leaving.call('start', 'slow', slowID, 3 * 1000 * GRACE_SECONDS);
    await fleet.noted(slowID, 'slow');
  }
  await Promise.all(ids.map((id) => fleet.noted(id, 'step 2')));
  const asked = Date.now();
  await leaving.kill('SIGTERM');
  expect(await leaving.ended).toBe(0);
  fleet.members.delete(leaving);
  const stopped = await fleet.noted('-', 'stopped', leaving.pid);
  const went = async (id: string) => {
    let at = 0;
    await expect
      .poll(() => (at = fleet.notes(id).find((note) => note.pid === peer.pid)?.at ?? 0), { interval: 20 })
      .toBeGreaterThan(0);
    return at;
  };
  const times = await Promise.all(ids.map(went));
  for (const id of ids) await peer.call('send', id, 'stop', 'stop');
  await Promise.all(ids.map((id) => peer.call('result', id)));
  if (slow) {
    await peer.call('result', slowID);
    expect(fleet.notes(slowID).map(({ pid }) => pid)).toEqual([leaving.pid, peer.pid]);
  }
  return {
    stopping: stopped.at - asked,
    first: Math.min(...times) - stopped.at,
    last: Math.max(...times) - stopped.at,
  };
}

test(
  'a process that gets SIGTERM under load is gone within its grace period, and a peer goes on at once',
  async () => {
    const told: string[] = [];
    let round = 0;
    const leaves = async (slow: boolean) => {
      const { stopping, first, last } = await leave(round++, slow);
      told.push(`stopped after ${stopping} ms, gone on with ${first} to ${last} ms later`);
      return { stopping, first, last };
    };
    const held = await leaves(true);
    expect(held.stopping).toBeGreaterThanOrEqual(1000 * GRACE_SECONDS);
    expect(held.stopping).toBeLessThan(1000 * GRACE_SECONDS + 2000);
    await within(200, ROUNDS, 'handed over after', async () => {
      const { stopping, last } = await leaves(false);
      expect(stopping).toBeLessThan(1000 * GRACE_SECONDS);
      return last;
    });
    console.log(told.join('\n'));
    const { orders, mostAttempts } = await load.finish();
    console.log(`${orders} orders meanwhile`);
    expect(mostAttempts).toBe(0);
  },
  ROUNDS * 10_000 + 60_000,
);
