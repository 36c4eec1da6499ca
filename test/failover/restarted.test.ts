// Postgres is restarted under load, orderly and by a crash, and the connections that show who lives are cut: nobody
// is taken for dead. By hand ten times: FAILOVER=long npx vitest run test/failover/restarted
import { setTimeout as pause } from 'node:timers/promises';
import { type PostgresServer, startPostgres } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFleet, type Fleet, type Member } from './fleet.ts';
import { createLoad } from './load.ts';

const RESTARTS = process.env['FAILOVER'] === 'long' ? 10 : 2;
const AT_ONCE = 15;

let postgres: PostgresServer;
let fleet: Fleet;
let members: Member[];

beforeAll(async () => {
  postgres = await startPostgres();
  fleet = await createFleet(postgres.url);
  members = await Promise.all([fleet.start(), fleet.start(), fleet.start()]);
});

afterAll(async () => {
  await fleet.end();
  await postgres[Symbol.asyncDispose]();
});

/** While there is no database: each kind of request says so within five seconds. Returns how long the slowest took. */
async function refused(member: Member): Promise<number> {
  const answers = await member.call('requests', 'waiting-0');
  for (const { kind, error } of answers)
    expect({ kind, error }).toEqual({ kind, error: 'DatabaseUnavailableError' });
  expect(answers.filter(({ ms }) => ms >= 5000)).toEqual([]);
  return Math.max(...answers.map(({ ms }) => ms));
}

test(
  'over restarts of Postgres and cut connections processes go on, and nothing is lost or taken over',
  async () => {
    const living = async () =>
      (await members[0]?.call('executors'))?.map(({ executorID, goneAt }) => [executorID, goneAt]);
    const before = await living();
    const started = await Promise.all(
      members.map(async (member, i) => {
        await member.call('start', 'receiver', `waiting-${i}`);
        await member.call('start', 'long', `long-${i}`, 50);
        return [`waiting-${i}`, `long-${i}`];
      }),
    );
    const load = await createLoad(postgres.url, fleet, AT_ONCE);
    let slowest = 0;
    const refusals: number[] = [];
    for (let restart = 0; restart < RESTARTS; restart++) {
      await pause(1000 + Math.random() * 500);
      await (restart % 2 === 0 ? postgres.stop() : postgres.kill());
      if (restart % 2 === 0) refusals.push(...(await Promise.all(members.map(refused))));
      else await pause(Math.random() * 2000);
      await postgres.start();
      const back = performance.now();
      const from = load.started;
      await expect.poll(() => load.started, { interval: 20 }).toBeGreaterThan(from + AT_ONCE);
      slowest = Math.max(slowest, performance.now() - back);

      // Those that hold an advisory lock are the listening connections.
      const [cut] = await fleet.sql<{ count: number }>(
        `SELECT count(pg_terminate_backend(pid))::int AS count FROM pg_locks WHERE locktype = 'advisory'`,
      );
      expect(cut?.count).toBeGreaterThan(0);
    }
    await pause(1500);
    for (const [waiting, long] of started as [string, string][]) {
      await members[0]?.call('send', waiting, waiting);
      await members[0]?.call('send', long, 'stop', 'stop');
      expect(await members[1]?.call('result', waiting)).toBe(waiting);
      await members[2]?.call('result', long);
    }
    const { orders, mostAttempts } = await load.finish();
    await load.close();
    const waited = Math.max(...refusals, ...load.refused);
    console.log(
      `${orders} orders over ${RESTARTS} restarts; the slowest refusal after ${waited.toFixed(0)} ms; going on ` +
        `at most ${slowest.toFixed(0)} ms after a restart`,
    );
    expect(mostAttempts).toBe(0);
    expect(waited).toBeLessThan(5000);
    expect(await living()).toEqual(before);
  },
  RESTARTS * 15_000 + 60_000,
);
