// A deduplication id that a transaction of the caller has taken and not yet committed: who asks for it waits for that,
// and nobody else does.
import { Pawl, QueueDuplicatedError } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';

let database: TestDatabase;
let pawl: Pawl;
let client: pg.Client;

beforeAll(async () => {
  database = await createDatabase();
  pawl = new Pawl({ database: database.url, logger: quiet });
  pawl.registerWorkflow(async (n: number) => n, { name: 'job' });
  pawl.registerQueue('q');
  await pawl.launch();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await pawl.shutdown({ graceSeconds: 0 });
  await database.drop();
});

test.each([
  ['COMMIT', 2300],
  ['ROLLBACK', 200],
])('%s decides, also after longer than a journal waits for a lock: %i ms', async (end, ms) => {
  const deduplicationID = `one ${end}`;
  await client.query('BEGIN');
  const params = { queueName: 'q', deduplicationID, transaction: client };
  await pawl.startWorkflow('job', { ...params, workflowID: `first ${end}` })(1);
  const second = pawl.startWorkflow('job', { queueName: 'q', deduplicationID, workflowID: `second ${end}` })(
    2,
  );
  const outcome = second.then(
    (handle) => handle.getResult(),
    (error: unknown) => error,
  );
  // Others come and go while that one is set aside.
  for (const until = performance.now() + ms; performance.now() < until;) {
    const other = await pawl.startWorkflow('job', { queueName: 'q' })(3);
    expect(await other.getResult()).toBe(3);
  }
  await client.query(end);
  const found = await outcome;
  if (end === 'ROLLBACK') expect(found).toBe(2);
  else expect(found).toBeInstanceOf(QueueDuplicatedError);
  expect(await pawl.getWorkflowStatus(`first ${end}`)).toEqual(
    end === 'COMMIT' ? expect.objectContaining({ queueName: 'q' }) : null,
  );
});
