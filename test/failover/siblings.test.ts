// Processes that come and go as in a hundred deploys, and workflows that outlast them all: a hand-over is no death.
// By hand a hundred times: FAILOVER=long npx vitest run test/failover/siblings
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFleet, expectOnce, type Fleet } from './fleet.ts';

const RESTARTS = process.env['FAILOVER'] === 'long' ? 100 : 5;

let database: TestDatabase;
let fleet: Fleet;

beforeAll(async () => {
  database = await createDatabase();
  fleet = await createFleet(database.url);
});

afterAll(async () => {
  await fleet.end();
  await database.drop();
});

test(
  'restarts of siblings bring no workflow nearer to its recovery limit, whether it moves or stays',
  async () => {
    const steady = await fleet.start({ env: { WITHOUT: 'moving' } });
    let sibling = await fleet.start();
    await steady.call('start', 'long', 'staying', 50);
    await steady.call('start', 'receiver', 'waiting');
    await sibling.call('start', 'moving', 'moving', 20);
    for (let restart = 0; restart < RESTARTS; restart++) {
      const { pid } = sibling;
      await expect
        .poll(() => fleet.notes('moving').some((note) => note.pid === pid), { interval: 10 })
        .toBe(true);
      const next = await fleet.start();
      await sibling.kill('SIGTERM');
      expect(await sibling.ended).toBe(0);
      sibling = next;
    }
    const pids = new Set(fleet.notes('moving').map(({ pid }) => pid));
    console.log(`${RESTARTS} restarts; one workflow was run by ${pids.size} processes`);
    expect(pids.size).toBeGreaterThanOrEqual(RESTARTS);
    for (const id of ['staying', 'moving']) await steady.call('send', id, 'stop', 'stop');
    await steady.call('send', 'waiting', 'hello');
    for (const id of ['staying', 'moving', 'waiting']) {
      await steady.call('result', id);
      expect((await steady.call('status', id))?.recoveryAttempts).toBe(0);
    }
    await expectOnce(fleet);
  },
  RESTARTS * 5000 + 60_000,
);
