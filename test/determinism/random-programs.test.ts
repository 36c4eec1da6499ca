// A thousand random programs: chains, all, allSettled, race and any over steps, transactions, waits and children,
// stopped at random calls to the database and gone on with by another life. Every branch gets its own results back.
//
// PAWL_SEED=n runs the batch of that seed alone; PAWL_BATCHES=n runs so many on the server instead of 50.

import { describe, expect, test } from 'vitest';
import { runBatch, type World } from './generations.ts';
import { embeddedWorld, serverWorld } from './settings.ts';

const only = process.env['PAWL_SEED'];
const PROGRAMS = 20;

/** Side by side in the worlds there are: much of a recovery is waiting. */
async function checkBatches(worlds: readonly World[], first: number, batches: number): Promise<void> {
  const seeds = only === undefined ? Array.from({ length: batches }, (_, i) => first + i) : [Number(only)];
  await Promise.all(
    worlds.map(async (world) => {
      for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
        const wrong = await runBatch(world, { seed, count: PROGRAMS, disturbed: seed % 2 === 0 });
        expect(wrong, `run it again with PAWL_SEED=${seed}`).toEqual([]);
      }
    }),
  );
}

describe('random programs give every branch its own results', () => {
  const server = serverWorld();
  const embedded = embeddedWorld();
  const batches = Number(process.env['PAWL_BATCHES'] ?? 50);

  test(`${batches * PROGRAMS} of them in two processes at a time, over deaths and broken connections`, async () => {
    const worlds = ['pawl', 'pawl_2', 'pawl_3'].map((schema) => ({ ...server(), schema }));
    await checkBatches(worlds, 1, batches);
  }, 300_000);

  test(`${5 * PROGRAMS} of them on PGlite, over deaths`, async () => {
    await checkBatches([embedded()], 10_001, 5);
  }, 120_000);
});
