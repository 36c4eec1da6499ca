// The two worlds of these tests: a server, reached over sockets, and the embedded database. One per test file.

import type { PGlite } from '@electric-sql/pglite';
import { createDatabase, createEmbedded, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import type { World } from './generations.ts';
import { cutEmbedded, cutServer } from './worlds.ts';

const TABLE = 'CREATE TABLE effect (workflow text, label text)';

export interface ServerWorld extends World {
  readonly url: string;
}

/** There from `beforeAll` on. */
export function serverWorld(peers = 2): () => ServerWorld {
  let database: TestDatabase;
  let pool: pg.Pool;
  let world: ServerWorld;
  beforeAll(async () => {
    database = await createDatabase();
    const { url } = database;
    pool = new pg.Pool({ connectionString: url, max: 2 });
    pool.on('error', () => {});
    await pool.query(TABLE);
    world = {
      url,
      connect: (fate) => cutServer(url, fate),
      sql: async <Row>(text: string, params?: unknown[]) => (await pool.query(text, params)).rows as Row[],
      ...{ schema: 'pawl', table: 'effect', peers, remote: true },
    };
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });
  return () => world;
}

/** There from `beforeAll` on. One process at a time. */
export function embeddedWorld(): () => World {
  let db: PGlite;
  let world: World;
  beforeAll(async () => {
    db = await createEmbedded();
    await db.query(TABLE);
    world = {
      connect: (fate) => cutEmbedded(db, fate),
      sql: async <Row>(text: string, params?: unknown[]) => (await db.query<Row>(text, params)).rows,
      ...{ schema: 'pawl', table: 'effect', peers: 1, remote: false },
    };
  });
  afterAll(() => db.close());
  return () => world;
}
