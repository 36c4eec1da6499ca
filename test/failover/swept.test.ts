// A process that dies while it sweeps what is over: another one goes on where it was, and nothing is half deleted.
import { copyWorkflow, createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFleet, type Fleet } from './fleet.ts';

const OLD = 5_000;

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

const count = async (text: string): Promise<number> =>
  (await fleet.sql<{ n: number }>(`SELECT count(*)::integer AS n FROM ${text}`))[0]?.n ?? 0;
const old = () => count(`pawl.workflow WHERE id LIKE 'old-%'`);
const orphans = () =>
  count('pawl.step s WHERE NOT EXISTS (SELECT FROM pawl.workflow w WHERE w.id = s.workflow_id)');
const age = (days: number, where: string) =>
  fleet.sql(`UPDATE pawl.workflow SET created_at = created_at - ${days} * interval '1 day',
    completed_at = completed_at - ${days} * interval '1 day' WHERE ${where}`);

test('a sweep whose process is killed is gone on with by a peer, from where it was', async () => {
  const first = await fleet.start({ config: { retention: false } });
  for (const id of ['model', 'fresh', 'behind']) {
    await first.call('start', 'sleeper', id, 0);
    await first.call('result', id);
  }
  await first.call('start', 'receiver', 'waiting');
  await fleet.noted('waiting', 'before');
  await copyWorkflow(async (text) => ({ rows: await fleet.sql(text) }), {
    ...{ from: 'model', prefix: 'old', count: OLD },
  });
  await age(40, `id LIKE 'old-%' OR id = 'model'`);
  await fleet.sql('UPDATE pawl.upkeep SET next_at = pawl.clock()');

  const doomed = await fleet.start();
  await expect.poll(old, { interval: 1 }).toBeLessThan(OLD);
  await fleet.kill(doomed);
  const left = await old();
  expect(left).toBeGreaterThan(0);
  expect(await orphans()).toBe(0);
  // Whoever began anew would take it: it is older than all that is left.
  await age(400, `id = 'behind'`);

  await fleet.start();
  await expect.poll(() => count(`pawl.upkeep WHERE next_at > pawl.clock()`), { timeout: 30_000 }).toBe(2);
  expect(await old()).toBe(0);
  expect(await orphans()).toBe(0);
  const kept = await fleet.sql<{ id: string }>('SELECT id FROM pawl.workflow ORDER BY id');
  expect(kept.map(({ id }) => id)).toEqual(['behind', 'fresh', 'waiting']);
  console.log(`killed with ${left} of ${OLD} left`);
});
