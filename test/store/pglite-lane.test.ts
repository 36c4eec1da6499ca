// A lane over PGlite, with a database that its owner uses too.
import { PGlite, types } from '@electric-sql/pglite';
import { afterEach, expect, test } from 'vitest';
import type { Database } from '../../packages/core/src/store/database.ts';
import { openPGliteDatabase } from '../../packages/core/src/store/pglite-database.ts';

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close();
});

async function open(connection: PGlite): Promise<Database> {
  opened.push(connection);
  const database = openPGliteDatabase({ connection, schema: 'pawl' });
  await database.open();
  return database;
}

const SUM = 'SELECT $1::text::int + 1, $2::text, $1::text::int > 1, NULL, 0.5::float8, 7::bigint';
const HOSTILE = `it's "a" \\ b\nE'c' $1 ; --`;

test('gives every value as text, and takes any text', async () => {
  const lane = (await open(await PGlite.create())).lane('test');
  expect(await lane.call(SUM, ['1', HOSTILE])).toEqual([['2', HOSTILE, 'false', null, '0.5', '7']]);
  expect(await lane.call('SELECT', [])).toHaveLength(1);
  await expect(lane.call('SELECT $1::text::int', ['x'])).rejects.toMatchObject({ code: '22P02' });
  await expect(lane.call('SELECT * FROM nothing_here', [])).rejects.toMatchObject({ code: '42P01' });
  await expect(lane.call('SELECT * FROM nothing_here', [])).rejects.toMatchObject({ code: '42P01' });
  expect(await lane.call('SELECT $1::text::int', ['3'])).toEqual([['3']]);
});

test('goes on where the owner has discarded what was prepared', async () => {
  const connection = await PGlite.create();
  const lane = (await open(connection)).lane('test');
  expect(await lane.call(SUM, ['1', 'a'])).toHaveLength(1);
  await connection.exec('DISCARD ALL');
  expect(await lane.call(SUM, ['2', 'b'])).toEqual([['3', 'b', 'true', null, '0.5', '7']]);
});

test('leaves nothing prepared behind in a database of the caller, and refuses NUL as a server does', async () => {
  const connection = await PGlite.create();
  const database = await open(connection);
  const lane = database.lane('test');
  await expect(lane.call(SUM, ['1', 'a\0b'])).rejects.toMatchObject({ code: '22021' });
  await lane.call(SUM, ['1', 'a']);
  const prepared = async () =>
    (await connection.query<{ n: number }>('SELECT count(*)::int AS n FROM pg_prepared_statements')).rows[0]
      ?.n;
  expect(await prepared()).toBe(1);
  await database.close();
  expect(await prepared()).toBe(0);
});

test('gives the same where the owner reads types in ways of his own', async () => {
  const parsers = { [types.INT4]: () => 'four', [types.BOOL]: () => 'maybe', [types.TEXT]: () => 'text' };
  const lane = (await open(await PGlite.create({ parsers }))).lane('test');
  expect(await lane.call('SELECT $1::text::int, true, $2::text', ['1', 'a'])).toEqual([['1', 't', 'a']]);
});

test('waits for the transaction of its owner', async () => {
  const connection = await PGlite.create();
  const lane = (await open(connection)).lane('test');
  await connection.exec('CREATE TABLE seen (n int)');
  let call: Promise<unknown> | undefined;
  await connection.transaction(async (tx) => {
    call = lane.call('SELECT count(*) FROM seen', []);
    await tx.exec('INSERT INTO seen VALUES (1)');
    await tx.rollback();
  });
  expect(await call).toEqual([['0']]);
});
