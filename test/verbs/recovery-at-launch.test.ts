// What a recovering workflow finds: a Pawl that works, from its first verb on.

import { Pawl } from '@pawl/core';
import { createDatabase } from '@pawl/test-support';
import pg from 'pg';
import { expect, test } from 'vitest';

test('a workflow that is recovered at launch may call any verb at once', async () => {
  const database = await createDatabase();
  const define = (pawl: Pawl) =>
    pawl.registerWorkflow(async function recovered(n: number) {
      const doubled = await pawl.runTransaction(() => Promise.resolve(n * 2), { name: 'double' });
      return doubled + (await pawl.runStep(() => 1, { name: 'one' }));
    });
  const first = new Pawl({ database: database.url });
  const workflow = define(first);
  await first.launch();
  // Started inside a transaction that commits only after this process has stopped: nobody has run any of it.
  const client = new pg.Client(database.url);
  await client.connect();
  await client.query('BEGIN');
  await first.startWorkflow(workflow, { workflowID: 'left', transaction: client })(20);
  await first.shutdown();
  await client.query('COMMIT');
  await client.end();

  const second = new Pawl({ database: database.url });
  define(second);
  await second.launch();
  expect(await second.retrieveWorkflow('left').getResult({ timeoutSeconds: 10 })).toBe(41);
  await second.shutdown();
  await database.drop();
});
