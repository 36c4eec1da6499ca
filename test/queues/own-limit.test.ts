// The limit of a process where many come back to it at once, and a change of what a queue goes by.
import { Pawl } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';

let database: TestDatabase;
let pawl: Pawl;

beforeEach(async () => {
  database = await createDatabase();
  pawl = new Pawl({ database: database.url, parkAfterSeconds: 0, logger: quiet });
});
afterEach(async () => {
  await pawl.shutdown({ graceSeconds: 0 });
  await database.drop();
});

test('a queue of which hundreds wake up at once keeps to the limit of the process, and does not hold up others', async () => {
  const order: string[] = [];
  let now = 0;
  let most = 0;
  const sleeper = pawl.registerWorkflow(
    async (kind: string) => {
      await pawl.getEvent('signal', kind);
      most = Math.max(most, kind === 'queued' ? ++now : now);
      order.push(kind);
      await pawl.runStep(() => new Promise((resolve) => setImmediate(resolve)), { name: 'work' });
      if (kind === 'queued') now--;
    },
    { name: 'sleeper' },
  );
  const signal = pawl.registerWorkflow(
    async () => {
      await pawl.recv('go', 600);
      await pawl.setEvent('queued', true);
      await pawl.setEvent('other', true);
    },
    { name: 'signal' },
  );
  pawl.registerQueue('sleepers');
  await pawl.launch();
  const starts = (count: number, kind: string, queueName?: string) =>
    Array.from({ length: count }, () => ({
      workflow: sleeper,
      args: [kind],
      ...(queueName !== undefined && { queueName }),
    }));
  const handles = await pawl.startWorkflows([...starts(210, 'queued', 'sleepers'), ...starts(5, 'other')]);
  // Those that have not parked when the signal comes would go on at once, whatever the limit is then.
  const parked = `SELECT count(*)::int FROM pawl.workflow WHERE status = 'PENDING' AND owner IS NULL`;
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await expect
    .poll(async () => (await client.query(parked)).rows[0], { interval: 10 })
    .toEqual({ count: 215 });
  await client.end();
  pawl.registerQueue('sleepers', { workerConcurrency: 2 });
  await pawl.startWorkflow(signal, { workflowID: 'signal' })();
  await pawl.send('signal', null, 'go');
  await pawl.waitAll(handles);
  expect(most).toBe(2);
  expect(order).toHaveLength(215);
  // Not all of the queue first.
  expect(order.slice(0, order.lastIndexOf('other')).length).toBeLessThan(150);
});

test('a queue that gets priorities orders what waits by them, and by arrival again without them', async () => {
  const ran: string[] = [];
  const note = pawl.registerWorkflow(
    async (value: string) => {
      ran.push(value);
    },
    { name: 'note' },
  );
  pawl.registerQueue('q', { concurrency: 1 });
  await pawl.launch();
  const wave = async (before: boolean, after: boolean) => {
    pawl.registerQueue('q', { concurrency: 1, priorityEnabled: before });
    await pawl.pauseQueue('q');
    const handles = await pawl.startWorkflows(
      [2, 1, 3].map((priority) => ({ workflow: note, args: [`${priority}`], queueName: 'q', priority })),
    );
    pawl.registerQueue('q', { concurrency: 1, priorityEnabled: after });
    await pawl.resumeQueue('q');
    await pawl.waitAll(handles);
    return ran.splice(0);
  };
  expect(await wave(false, true)).toEqual(['1', '2', '3']);
  expect(await wave(true, false)).toEqual(['2', '1', '3']);
});
