// Fresh databases on the one Postgres server that the test run started (server.ts) or that DATABASE_URL names.
// It knows nothing of Pawl: what a test puts into its database is its own affair.
import { randomBytes } from 'node:crypto';
import pg from 'pg';

export interface TestDatabase {
  /** Connection URL of a new, empty database. */
  readonly url: string;
  /** Drops the database and whoever is still connected to it. Calling it twice is fine. */
  drop(): Promise<void>;
}

/** The URL of the server's maintenance database, for tests that need the server itself. */
export function serverURL(): string {
  const url = process.env['PAWL_TEST_SERVER_URL'];
  if (!url) throw new Error('No test server: run the tests with `pnpm test`, whose global setup starts one.');
  return url;
}

/** Creates an empty database. One per test file costs some 30 ms; call it in `beforeAll` and `drop()` in `afterAll`. */
export async function createDatabase(): Promise<TestDatabase> {
  const name = `pawl_${process.pid}_${randomBytes(6).toString('hex')}`;
  // FILE_COPY would checkpoint the server for each database; WAL_LOG is quicker while the server is busy.
  await administer(`CREATE DATABASE ${name} TEMPLATE template0`);
  const url = new URL(serverURL());
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => administer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverURL() });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
