// The Postgres server of a test run: DATABASE_URL if it is set, else one that lives as long as the run.
// Vitest's global setup; tests reach the server through database.ts only.
import { startPostgres } from './postgres.ts';

export async function setup(): Promise<(() => Promise<void>) | undefined> {
  // Once for all groups of the run.
  if (process.env['PAWL_TEST_SERVER_URL']) return undefined;
  const given = process.env['DATABASE_URL'];
  if (given) {
    process.env['PAWL_TEST_SERVER_URL'] = given;
    return undefined;
  }
  const server = await startPostgres();
  process.env['PAWL_TEST_SERVER_URL'] = server.url;
  return () => server[Symbol.asyncDispose]();
}
