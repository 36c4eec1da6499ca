// A COMMIT whose answer is lost keeps its place in the order of results: a replay sees the order that the first run saw.
import { Pawl } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { CommitUnknownError } from '../../packages/core/src/store/database.ts';
import { quiet } from '../support/drivers.ts';

let database: TestDatabase;
let pawl: Pawl;

beforeAll(async () => {
  database = await createDatabase();
  pawl = new Pawl({ database: database.url, logger: quiet });
  await pawl.launch();
  await internals(pawl).database.query('CREATE TABLE unique_payment (id integer PRIMARY KEY)');
});

afterAll(async () => {
  await pawl.shutdown({ graceSeconds: 0 });
  await database.drop();
});

test.each([
  ['that took effect', true, 'SELECT 1'],
  ['that did not', false, 'SELECT 1'],
  // The second run fails in its own SQL, because of what the first one did.
  ['that took effect and cannot be made again', true, 'INSERT INTO unique_payment VALUES (1)'],
])('one %s', async (_, committed, text) => {
  const { database: own, events } = internals(pawl);
  const transaction = own.transaction.bind(own);
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const recorded = new Promise<void>((resolve) => {
    const off = events.on('journal.flushed', ({ operations }) => {
      if (!operations.some(({ name }) => name === 'other')) return;
      off();
      resolve();
    });
  });
  own.transaction = async (options, body) => {
    own.transaction = transaction;
    await transaction(options, async (tx) => {
      await body(tx);
      if (!committed) throw new Error('lost on the way');
    }).catch(() => {});
    // Meanwhile the other branch gets its result.
    release();
    await recorded;
    throw new CommitUnknownError('The connection was lost while COMMIT was under way.');
  };

  const orders: string[] = [];
  const racing = pawl.registerWorkflow(
    async () => {
      const order: string[] = [];
      await Promise.all([
        pawl.runTransaction(async (tx) => void (await tx.query(text))).then(() => order.push('paid')),
        pawl.runStep(() => released, { name: 'other' }).then(() => order.push('other')),
      ]);
      orders.push(order.join());
      await pawl.recv('go', 600);
      return order.join();
    },
    { name: `racing-${committed}-${text}` },
  );
  const handle = await pawl.startWorkflow(racing)();
  await expect.poll(() => orders.length, { interval: 5 }).toBe(1);
  await pawl.shutdown({ graceSeconds: 0 });
  await pawl.launch();
  await pawl.send(handle.workflowID, 1, 'go');
  const result = await pawl.retrieveWorkflow<string>(handle.workflowID).getResult({ timeoutSeconds: 10 });
  expect(orders).toEqual([result, result]);
});
