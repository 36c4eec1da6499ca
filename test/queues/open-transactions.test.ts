// A deduplication id that a transaction of the caller has taken and not yet committed: who asks for it waits for that,
// and nobody else does. It is taken until the first one ends, so that one ends after the second was answered: had it
// ended before the second looked, the second would rightly run.
import { Pawl, QueueDuplicatedError } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

let database: TestDatabase;
let pawl: Pawl;
let client: pg.Client;
const answered = new Map<string, () => void>();

beforeAll(async () => {
  database = await createDatabase();
  pawl = new Pawl({ database: database.url, logger: quiet });
  pawl.registerWorkflow(async (n: number) => n, { name: 'job' });
  const until = (id: string) => new Promise<void>((resolve) => answered.set(id, resolve));
  pawl.registerWorkflow((id: string) => until(id), { name: 'long job' });
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
  ['COMMIT', 4100],
  ['ROLLBACK', 200],
])('%s decides, also after longer than a journal waits for a lock: %i ms', async (end, ms) => {
  const deduplicationID = `one ${end} ${ms}`;
  const first = `first ${end} ${ms}`;
  await client.query('BEGIN');
  const params = { queueName: 'q', deduplicationID };
  await pawl.startWorkflow('long job', { ...params, workflowID: first, transaction: client })(first);
  const second = pawl.startWorkflow('job', { ...params, workflowID: `second ${end} ${ms}` })(2);
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
  expect(await pawl.getWorkflowStatus(first)).toEqual(
    end === 'COMMIT' ? expect.objectContaining({ queueName: 'q' }) : null,
  );
  if (end === 'ROLLBACK') return;
  await vi.waitUntil(() => answered.has(first));
  answered.get(first)?.();
  await pawl.retrieveWorkflow(first).getResult();
});
