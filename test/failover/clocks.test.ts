// Two processes whose clocks are two hours apart, and neither is right: the database's clock decides.
import { setTimeout as pause } from 'node:timers/promises';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFleet, type Fleet, type Member } from './fleet.ts';

const HOUR = 3_600_000;

let database: TestDatabase;
let fleet: Fleet;
let early: Member;
let late: Member;

const config = { leaseSeconds: 1, parkAfterSeconds: 0.2 };
const skewed = (ms: number) => fleet.start({ config, env: { CLOCK_AHEAD_MS: String(ms) } });

beforeAll(async () => {
  database = await createDatabase();
  fleet = await createFleet(database.url);
  [early, late] = await Promise.all([skewed(-HOUR), skewed(HOUR)]);
});

afterAll(async () => {
  await fleet.end();
  await database.drop();
});

/** Long enough to be seen not to be an hour less, and short enough not to be an hour more. */
function expectAbout(took: number, ms: number): void {
  expect(took).toBeGreaterThanOrEqual(ms - 50);
  expect(took).toBeLessThan(ms + 10_000);
}

test('sleeps take as long as they should, where they began and where they are gone on with', async () => {
  const doomed = await skewed(HOUR);
  const sleepers = { early, late, doomed };
  for (const [id, member] of Object.entries(sleepers)) await member.call('start', 'sleeper', id, 1000);
  for (const id of Object.keys(sleepers)) await fleet.noted(id, 'before');
  await fleet.kill(doomed);
  for (const id of Object.keys(sleepers)) {
    await early.call('result', id);
    // A peer that went on with it early was there "before" as well.
    const notes = fleet.notes(id);
    expectAbout((notes.at(-1)?.at ?? 0) - (notes[0]?.at ?? 0), 1000);
  }
  expect(fleet.notes('doomed').at(-1)?.pid).not.toBe(doomed.pid);
});

test('a message is waited for as long as it should be, and now() is the same time everywhere', async () => {
  for (const [i, member] of [early, late].entries()) {
    const id = `waiting-${i}`;
    await member.call('start', 'clock', id, 1);
    const { message, at } = (await member.call('result', id)) as { message: unknown; at: number };
    expect(message).toBeNull();
    expectAbout(at - (await fleet.noted(id, 'before')).at, 1000);
    expectAbout(Date.now() - at, 0);
  }
});

test('a process that begins with what another one handed over knows what time it is', async () => {
  await Promise.all([early, late].map((member) => fleet.kill(member)));
  const leaving = await skewed(0);
  await leaving.call('start', 'inherited', 'inherited', leaving.pid);
  await fleet.noted('inherited', 'before');
  await leaving.kill('SIGTERM');
  expect(await leaving.ended).toBe(0);
  [late, early] = [await skewed(HOUR), await skewed(-HOUR)];
  expectAbout(Date.now() - Number(await late.call('result', 'inherited')), 0);
});

test('deadlines are kept by each for the other, and nobody ends one early', async () => {
  const doomed = await skewed(-HOUR);
  const started = { limitedEarly: early, limitedLate: late, limitedDoomed: doomed };
  for (const [id, member] of Object.entries(started)) await member.call('start', 'limited', id);
  for (const id of Object.keys(started)) await fleet.noted(id, 'before');
  await fleet.kill(doomed);
  for (const id of Object.keys(started)) {
    await expect(late.call('result', id)).rejects.toThrow('WorkflowTimeoutError');
    const status = await early.call('status', id);
    expectAbout((status?.completedAt ?? 0) - (status?.createdAt ?? 0), 1500);
  }
});

test('neither takes the other for dead', async () => {
  await pause(2 * 1000 * config.leaseSeconds);
  const living = (await early.call('executors')).filter(({ goneAt }) => goneAt === null);
  expect(living).toHaveLength(2);
  for (const { leaseUntil } of living) expectAbout(leaseUntil - Date.now(), 0);
});
