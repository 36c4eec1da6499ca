// Random interleavings of the real store, each compared with an oracle. `PAWL_MODEL_SEEDS=200000` runs so many of them,
// from `PAWL_MODEL_FIRST` on; `PAWL_MODEL_SEED=17` runs one, again and again in case it is a matter of luck.
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEmbeddedSlot, openServerSlot, type OpenSlot, runSeed } from './slots.ts';

const SLOTS = 4;
const EMBEDDED_SEEDS = 25;
const FAILURES = 3;
const AGAIN = 20;
const one = process.env['PAWL_MODEL_SEED'];
const count = Number(process.env['PAWL_MODEL_SEEDS'] ?? 5000);
const first = Number(process.env['PAWL_MODEL_FIRST'] ?? 1);
const seeds =
  one === undefined
    ? Array.from({ length: count }, (_, i) => first + i)
    : Array.from({ length: AGAIN }, () => Number(one));

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

/** The failing seeds of these, each with its schedule. */
async function failing(on: readonly OpenSlot[], left: number[]): Promise<string[]> {
  const failures: Error[] = [];
  await Promise.all(
    on.map(async (slot) => {
      while (left.length > 0 && failures.length < FAILURES)
        await runSeed(left.shift() as number, slot).catch((error: Error) => failures.push(error));
    }),
  );
  for (const failure of failures) console.error(failure.message);
  return failures.map((failure) => failure.message.split('\n')[0] as string);
}

test('processes side by side on a server', { timeout: 0 }, async () => {
  expect(await failing(slots, [...seeds])).toEqual([]);
});

test.skipIf(one !== undefined)('one statement after the other, embedded', { timeout: 0 }, async () => {
  const slot = await openEmbeddedSlot();
  try {
    expect(await failing([slot], seeds.slice(0, EMBEDDED_SEEDS))).toEqual([]);
  } finally {
    await slot.close();
  }
});
