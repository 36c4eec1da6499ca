// A database that one test has to itself: a fresh schema on a server, or on a PGlite in memory.

import { randomBytes } from 'node:crypto';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import type { EmbeddedPostgres } from '../app/config.ts';
import { quoteIdentifier } from '../store/schema-name.ts';

export interface TestDatabase {
  /** For `new Pawl({ database, schema })`. */
  readonly database: string | EmbeddedPostgres;
  readonly schema: string;
  /** Removes the schema with all that is in it. Shut down whoever uses it first. Twice is fine. */
  drop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface TestDatabaseOptions {
  /** A server; null: PGlite in memory, whatever the environment says. Default: `DATABASE_URL`, else PGlite. */
  url?: string | null;
}

/** Takes seconds to create, so all tests of a process share it; it ends with the process. */
let embedded: Promise<PGlite> | undefined;

/**
 * A fresh schema for the state of a Pawl. It outlives the Pawls that use it, so that a test can shut one down and
 * launch another on what it left. On a server any number of them may use it at once, on PGlite one at a time.
 * Tables of your own are not part of it: the database is shared, only Pawl's schema is fresh.
 *
 * @example
 * const database = await testDatabase();
 * const pawl = new Pawl(database);
 * await pawl.launch();
 * // …
 * await pawl.shutdown();
 * await database.drop();
 */
export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const url = options.url === undefined ? process.env.DATABASE_URL || null : options.url;
  const schema = `pawl_test_${randomBytes(6).toString('hex')}`;
  const drop = url === null ? () => dropEmbedded(schema) : () => dropOnServer(url, schema);
  const database = url ?? (await (embedded ??= PGlite.create()));
  return { database, schema, drop, [Symbol.asyncDispose]: drop };
}

const dropping = (schema: string) => `DROP SCHEMA IF EXISTS ${quoteIdentifier(schema)} CASCADE`;

async function dropEmbedded(schema: string): Promise<void> {
  await (await embedded)?.query(dropping(schema));
}

async function dropOnServer(url: string, schema: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('SET client_min_messages = warning');
    await client.query(dropping(schema));
  } finally {
    await client.end();
  }
}
