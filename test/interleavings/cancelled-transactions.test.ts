// A transaction that commits while its workflow is cancelled: recorded, then the cancellation is thrown, and a resume
// does not run it again.
import { Pawl } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { quiet } from '../support/drivers.ts';

let database: TestDatabase;
const launched: Pawl[] = [];

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(async () => {
  await Promise.all(launched.map((pawl) => pawl.shutdown({ graceSeconds: 0 })));
  await database.drop();
});

const launch = async (): Promise<Pawl> => {
  const pawl = new Pawl({ database: database.url, logger: quiet });
  launched.push(pawl);
  return pawl.launch();
};

test.each([
  ['by its own process', true],
  ['by another process, unheard of', false],
])('cancelled %s', async (_, own) => {
  const [pawl, other] = [await launch(), await launch()];
  const { hints } = internals(other).runtime;
  hints.tellCancelled = () => {};
  let begun = () => {};
  let go = () => {};
  const started = new Promise<void>((resolve) => (begun = resolve));
  const released = new Promise<void>((resolve) => (go = resolve));
  let runs = 0;
  const seen: unknown[] = [];
  const paying = pawl.registerWorkflow(
    async () => {
      const paid = pawl.runTransaction(async (tx) => {
        runs++;
        begun();
        await released;
        await tx.query('SELECT 1');
        return 'paid';
      });
      seen.push(await paid.catch((error: Error) => error.name));
      return paid;
    },
    { name: `paying-${own}` },
  );
  const handle = await pawl.startWorkflow(paying)();
  await started;
  // Between two ticks, so that the process does not hear of it before it writes.
  await internals(pawl).runtime.executor.tickNow();
  await (own ? pawl : other).cancelWorkflow(handle.workflowID);
  go();
  await expect.poll(() => seen, { interval: 5 }).toEqual(['WorkflowCancelledError']);
  const [step] = await pawl.listWorkflowSteps(handle.workflowID);
  expect(step?.output).toBe('paid');

  await pawl.resumeWorkflow(handle.workflowID);
  expect(await handle.getResult({ timeoutSeconds: 5 })).toBe('paid');
  expect(seen).toEqual(['WorkflowCancelledError', 'paid']);
  expect(runs).toBe(1);
});
