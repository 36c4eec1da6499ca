// Three processes under load, one of which is killed every two seconds and replaced. By hand for two minutes:
// FAILOVER=long npx vitest run test/failover/killed
import { setTimeout as pause } from 'node:timers/promises';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFleet, type Fleet, type Member, type Note } from './fleet.ts';
import { createLoad, type Load } from './load.ts';

const LONG = process.env['FAILOVER'] === 'long';
const KILLS = LONG ? 60 : 4;
const AT_ONCE = LONG ? 40 : 20;

let database: TestDatabase;
let fleet: Fleet;
let load: Load;

beforeAll(async () => {
  database = await createDatabase();
  fleet = await createFleet(database.url);
  await Promise.all([fleet.start(), fleet.start(), fleet.start()]);
  load = await createLoad(database.url, fleet, AT_ONCE);
});

afterAll(async () => {
  await load.close();
  await fleet.end();
  await database.drop();
});

/** From a kill to the first step elsewhere of a workflow that the dead process was the last to run. */
function takeover(notes: Note[], { pid, at }: { pid: number; at: number }): number {
  const ran = new Map<string, number>();
  for (const note of notes) if (note.at <= at) ran.set(note.workflowID, note.pid);
  const first = notes.find((note) => note.at > at && note.pid !== pid && ran.get(note.workflowID) === pid);
  return (first?.at ?? Number.POSITIVE_INFINITY) - at;
}

test(
  'of processes that are killed under load every workflow ends right, and nothing is done twice',
  async () => {
    await fleet.members.values().next().value?.call('start', 'long', 'all-along', 20);
    const kills: { pid: number; at: number }[] = [];
    for (let i = 0; i < KILLS; i++) {
      await pause(2000);
      const [oldest] = fleet.members as Set<Member> & [Member];
      const doomed = oldest;
      kills.push({ pid: doomed.pid, at: Date.now() });
      await fleet.kill(doomed);
      await fleet.start();
    }
    const [anyone] = fleet.members;
    await anyone?.call('send', 'all-along', 'stop', 'stop');
    const steps = await anyone?.call('result', 'all-along');
    const { orders, mostAttempts } = await load.finish();
    const notes = fleet.notes();
    // One that ran nothing at that moment leaves nothing to take over.
    const took = kills.map((kill) => takeover(notes, kill)).filter(Number.isFinite);
    console.log(
      `${orders} orders, a workflow of ${steps} steps, ${KILLS} kills; taken over after ${took.join(', ')} ms; ` +
        `at most ${mostAttempts} recovery attempts`,
    );
    expect(Math.min(...took)).toBeLessThan(1500);
    if (LONG) expect(took.toSorted((a, b) => a - b).at(Math.floor(took.length * 0.9))).toBeLessThan(1500);
    expect(mostAttempts).toBeLessThan(KILLS + 1);
  },
  KILLS * 6000 + 60_000,
);
