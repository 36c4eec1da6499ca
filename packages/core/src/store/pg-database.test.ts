import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConnectionLostError } from './database.ts';
import { openPgDatabase } from './pg-database.ts';

let server: TestDatabase;

beforeAll(async () => {
  server = await createDatabase();
});

afterAll(() => server.drop());

/** The server says farewell in the packet that makes the connection ready: before any promise can be told. */
class FarewellPool extends pg.Pool {
  farewells = 1;

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Callback): void;
  override connect(callback?: Callback): Promise<pg.PoolClient> | void {
    const connected = (told: Callback): void =>
      super.connect((error, client, release) => {
        told(error, client, release);
        if (this.farewells-- > 0) client?.emit('error', new Error('Connection terminated unexpectedly'));
      });
    if (callback !== undefined) return connected(callback);
    return new Promise((resolve, reject) =>
      connected((error, client) => (client === undefined ? reject(error) : resolve(client))),
    );
  }
}

type Callback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (broken?: unknown) => void,
) => void;

test('a connection that is lost as it is handed out costs its transaction, not the process', async () => {
  const pool = new FarewellPool({ connectionString: server.url, max: 1 });
  const database = openPgDatabase({ connection: pool, schema: 'pawl', poolSize: 1, applicationName: 'test' });
  const one = () => database.transaction({}, async (tx) => (await tx.query('SELECT 1 AS one')).rows);
  await expect(one()).rejects.toBeInstanceOf(ConnectionLostError);
  expect(await one()).toEqual([{ one: 1 }]);
  expect(pool.totalCount).toBe(1);
  await database.close();
  await pool.end();
});
