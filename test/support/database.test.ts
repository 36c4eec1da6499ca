import pg from 'pg';
import { expect, test } from 'vitest';
import { createDatabase, serverURL } from './database.ts';

test('a fresh database is empty, on a server with room for many connections, and gone after drop', async () => {
  const database = await createDatabase();
  const client = new pg.Client({ connectionString: database.url });
  client.on('error', () => undefined);
  await client.connect();
  const tables = await client.query(`SELECT 1 FROM pg_tables WHERE schemaname = 'public'`);
  expect(tables.rows).toEqual([]);

  await database.drop();
  await database.drop();
  await expect(client.query('SELECT 1')).rejects.toThrow();

  const administrator = new pg.Client({ connectionString: serverURL() });
  await administrator.connect();
  const left = await administrator.query('SELECT 1 FROM pg_database WHERE datname = $1', [
    new URL(database.url).pathname.slice(1),
  ]);
  await administrator.end();
  expect(left.rows).toEqual([]);
});
