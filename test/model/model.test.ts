// Random interleavings of the real store, each compared with an oracle. `PAWL_MODEL_SEEDS=200000` runs more of them,
// `PAWL_MODEL_SEED=17` runs one, and prints it.
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openServerSlot, type OpenSlot, runSeed } from './slots.ts';

const SLOTS = 4;
const ONE = process.env['PAWL_MODEL_SEED'];
const SEEDS = Number(process.env['PAWL_MODEL_SEEDS'] ?? 5000);
const FIRST = Number(process.env['PAWL_MODEL_FIRST'] ?? 1);

let database: TestDatabase;
const slots: OpenSlot[] = [];

beforeAll(async () => {
  database = await createDatabase();
  for (let i = 0; i < SLOTS; i++) slots.push(await openServerSlot(database.url, `pawl_${i}`));
});

afterAll(async () => {
  await Promise.all(slots.map((slot) => slot.close()));
  await database.drop();
});

test('seeds', { timeout: 0 }, async () => {
  const failures: Error[] = [];
  let next = FIRST;
  const end = ONE === undefined ? FIRST + SEEDS : 0;
  await Promise.all(
    slots.map(async (slot) => {
      while (next < end && failures.length < 3) {
        const seed = next++;
        await runSeed(seed, slot).catch((error: Error) => failures.push(error));
      }
    }),
  );
  if (ONE !== undefined) await runSeed(Number(ONE), slots[0] as OpenSlot);
  for (const failure of failures) console.log(failure.stack, (failure.cause as Error)?.stack);
  expect(failures.map((each) => each.message.split('\n')[0])).toEqual([]);
});
