// A workflow is not parked while a step of it runs, and leaves memory some time after the step has ended, though
// nothing else happens to its waits.

import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { Pawl } from '@pawl/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { quiet } from '../support/drivers.ts';

let database: TestDatabase;
let pawl: Pawl;

beforeAll(async () => {
  database = await createDatabase();
  pawl = await new Pawl({ database: database.url, logger: quiet, parkAfterSeconds: 0.05 }).launch();
});
afterAll(async () => {
  await pawl.shutdown({ graceSeconds: 0 });
  await database.drop();
});

test('beside a sleep, a step ends', async () => {
  let release = () => {};
  const workflow = pawl.registerWorkflow(
    () => Promise.all([pawl.sleep('30d'), pawl.runStep(() => new Promise<void>((r) => (release = r)))]),
    { name: 'sleepsAndWorks' },
  );
  const { workflowID } = await pawl.startWorkflow(workflow)();
  const parked = async () => (await pawl.getWorkflowStatus(workflowID))?.parked;
  const timer = () => internals(pawl).runtime.engine.activations.get(workflowID)?.parkTimer;
  await expect.poll(timer, { interval: 5 }).toBeDefined();
  const first = timer();
  // It was looked at, and is looked at once more.
  await expect.poll(() => ![undefined, first].includes(timer()), { interval: 5 }).toBe(true);
  expect(await parked()).toBe(false);
  release();
  await expect.poll(parked, { interval: 10, timeout: 5000 }).toBe(true);
  expect(internals(pawl).runtime.engine.activations.has(workflowID)).toBe(false);
});

test('beside a wait, another wait ends', async () => {
  const workflow = pawl.registerWorkflow(
    () => Promise.all([pawl.recv('never', 1e6), pawl.recv('soon', 1e6).then(() => pawl.now())]),
    { name: 'waitsTwice' },
  );
  const { workflowID } = await pawl.startWorkflow(workflow)();
  await pawl.send(workflowID, 'now', 'soon');
  const parked = async () => (await pawl.getWorkflowStatus(workflowID))?.parked;
  await expect.poll(parked, { interval: 10, timeout: 5000 }).toBe(true);
});
