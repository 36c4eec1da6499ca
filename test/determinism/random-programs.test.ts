// A thousand random programs: chains, all, allSettled, race and any over steps, transactions, waits and children,
// stopped at random calls to the database and gone on with by another life. Every branch gets its own results back.
//
// PAWL_SEED=n runs the batch of that seed alone; PAWL_BATCHES=n runs so many batches.

import { PGlite } from '@electric-sql/pglite';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runBatch, type World } from './generations.ts';
import { cutEmbedded, cutServer } from './worlds.ts';

const only = process.env['PAWL_SEED'];
const batches = Number(process.env['PAWL_BATCHES'] ?? 25);
const PROGRAMS = 20;

async function checkBatches(world: () => World, first: number): Promise<void> {
  const seeds = only === undefined ? Array.from({ length: batches }, (_, i) => first + i) : [Number(only)];
  for (const seed of seeds) {
    const wrong = await runBatch(world(), { seed, count: PROGRAMS });
    expect(wrong, `run it again with PAWL_SEED=${seed}`).toEqual([]);
  }
}

describe('on PGlite, one process after the other', () => {
  let db: PGlite;
  beforeAll(async () => {
    db = await PGlite.create('memory://');
    await db.query('CREATE TABLE effect (workflow text, label text)');
  });
  afterAll(() => db.close());

  test(`${batches * PROGRAMS} random programs give every branch its own results over random deaths`, async () => {
    const world: World = {
      connect: (fate) => cutEmbedded(db, fate),
      notices: false,
      sql: async <Row>(text: string, params?: unknown[]) => (await db.query<Row>(text, params)).rows,
      schema: 'pawl',
      table: 'effect',
      peers: 1,
      faults: false,
    };
    await checkBatches(() => world, 1);
  }, 240_000);
});

describe('on a server, two processes at a time', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  beforeAll(async () => {
    database = await createDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 2 });
    pool.on('error', () => {});
    await pool.query('CREATE TABLE effect (workflow text, label text)');
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });

  test(`${batches * PROGRAMS} random programs give every branch its own results over random deaths`, async () => {
    const world: World = {
      connect: (fate) => cutServer(database.url, fate),
      notices: true,
      sql: async <Row>(text: string, params?: unknown[]) => (await pool.query(text, params)).rows as Row[],
      schema: 'pawl',
      table: 'effect',
      peers: 2,
      faults: true,
    };
    await checkBatches(() => world, 10_001);
  }, 240_000);
});
