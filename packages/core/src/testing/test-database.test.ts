import { expect, test } from 'vitest';
import pg from 'pg';
import { serverURL } from '@pawl/test-support';
import { Pawl } from '../index.ts';
import { testDatabase, type TestDatabase } from './index.ts';

async function runOn(database: TestDatabase): Promise<number> {
  const pawl = new Pawl(database);
  const add = pawl.registerWorkflow(async (a: number, b: number) => a + b, { name: 'add' });
  await pawl.launch();
  try {
    return await (await pawl.startWorkflow(add, { workflowID: 'one' })(1, 2)).getResult();
  } finally {
    await pawl.shutdown();
  }
}

async function countSchemas(name: string): Promise<number> {
  const client = new pg.Client({ connectionString: serverURL() });
  await client.connect();
  const { rowCount } = await client.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [name]);
  await client.end();
  return rowCount ?? 0;
}

test('two databases on one server know nothing of each other, and are gone after drop', async () => {
  await using first = await testDatabase({ url: serverURL() });
  await using second = await testDatabase({ url: serverURL() });
  expect(await runOn(first)).toBe(3);
  const pawl = await new Pawl(second).launch();
  expect(await pawl.getWorkflowStatus('one')).toBeNull();
  await pawl.shutdown();

  expect(await countSchemas(first.schema)).toBe(1);
  await first.drop();
  await first.drop();
  expect(await countSchemas(first.schema)).toBe(0);
});

test('one in memory outlives the Pawl that used it', { timeout: 90_000 }, async () => {
  await using database = await testDatabase({ url: null });
  expect(await runOn(database)).toBe(3);
  const pawl = await new Pawl(database).launch();
  expect(await pawl.getWorkflowStatus('one')).toMatchObject({ status: 'SUCCESS', output: 3 });
  await pawl.shutdown();
});
