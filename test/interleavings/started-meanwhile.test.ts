// A workflow that is started between the lock and the look of a call that names its id: the call does not hold its row.
import { beforeAll, expect, test } from 'vitest';
import { cancel, resume } from '../../packages/core/src/store/lifecycle.ts';
import { release } from '../../packages/core/src/store/executors.ts';
import { ending, OWNER, parking, type Side, starting, twoConnections, waiting } from './two-connections.ts';

const { a, b, eye, row } = ((sides) => ({
  a: () => sides.a,
  b: () => sides.b,
  eye: () => sides.eye,
  row: (id: string) => sides.row(id),
}))(twoConnections());

// The clock is looked at between lock and look. A session that says so waits there while somebody has the gate.
const GATE = 77;
beforeAll(async () => {
  await eye().on
    .query(`CREATE OR REPLACE FUNCTION pawl.clock() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
      IF current_setting('test.gated', true) = 'on' THEN
        PERFORM pg_advisory_lock_shared(${GATE});
        PERFORM pg_advisory_unlock_shared(${GATE});
      END IF;
      RETURN clock_timestamp();
    END $$`);
  await b().on.query(`SET test.gated = 'on'`);
});

/** `call` stands between its lock and its look while `meanwhile` happens; what A does then is not committed. */
async function between<T>(call: (side: Side) => Promise<T>, meanwhile: () => Promise<void>): Promise<T> {
  await eye().on.query(`SELECT pg_advisory_lock(${GATE})`);
  let answered = false;
  const answer = call(b()).finally(() => (answered = true));
  await expect.poll(() => b().waits(), { interval: 2 }).toBe(true);
  await meanwhile();
  await eye().on.query(`SELECT pg_advisory_unlock(${GATE})`);
  await expect.poll(async () => answered || (await b().waits()), { interval: 2 }).toBe(true);
  await a().commit();
  return answer;
}

test('a cancellation does not put itself over its end', async () => {
  const ended = await between(
    (side) => cancel(side.on, ['w'], false),
    async () => {
      await a().flush([starting('w')]);
      await a().begin();
      await a().flush([ending('w', 'end')]);
    },
  );
  expect(ended).toEqual([]);
  expect(await row('w')).toMatchObject({ status: 'SUCCESS' });
});

test('a resume does not take it from the one that claims it', async () => {
  const found = await between(
    (side) => resume(side.on, ['w']),
    async () => {
      await a().flush([starting('w')]);
      await release(eye(), OWNER, true);
      await a().begin();
      await a().claim();
    },
  );
  expect(found).toEqual([]);
  expect((await row('w'))?.owner).not.toBeNull();
});

test('who waits for what was forgotten meanwhile is told when another of its id ends', async () => {
  await eye().flush([starting('sleeper')]);
  await eye().flush([waiting('sleeper', 0, 'getResult', 'w')]);
  // As a flush leaves it whose look for the target met a deletion that was not committed yet.
  await eye().on.query(`DELETE FROM pawl.workflow WHERE id = 'w'`);
  await eye().flush([parking('sleeper', 'w')]);
  await eye().flush([starting('w')], OWNER, true);
  const { fired } = await eye().flush([ending('w', 'end')]);
  expect(fired).toBe(true);
});
