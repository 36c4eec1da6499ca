// A fork that is deleted while it runs, and made again under the same id: the first run cannot write into the second.
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

async function launch(serves: boolean): Promise<{ pawl: Pawl; ends: ((value: string) => void)[] }> {
  const pawl = new Pawl({ database: database.url, logger: quiet, applicationVersion: '1' });
  launched.push(pawl);
  const ends: ((value: string) => void)[] = [];
  if (serves)
    pawl.registerWorkflow(
      async () => pawl.runStep(() => new Promise<string>((resolve) => ends.push(resolve)), { name: 'long' }),
      { name: 'forked' },
    );
  await pawl.launch();
  return { pawl, ends };
}

test('the result is that of the second', async () => {
  const first = await launch(true);
  const other = await launch(false);
  // The first process hears of nothing: it goes on with what is deleted.
  internals(other.pawl).runtime.hints.tell = () => {};
  await first.pawl.startWorkflow('forked', { workflowID: 'original' })();
  await other.pawl.forkWorkflow('original', 0, { newWorkflowID: 'again' });
  await expect.poll(() => first.ends.length, { interval: 5 }).toBe(2);
  internals(first.pawl).runtime.engine.registry.served = () => [];
  await other.pawl.deleteWorkflow('again');
  const handle = await other.pawl.forkWorkflow<string>('original', 0, { newWorkflowID: 'again' });
  const second = await launch(true);
  await expect.poll(() => second.ends.length, { interval: 5 }).toBe(1);
  first.ends[1]?.('of the deleted one');
  await expect.poll(() => internals(first.pawl).runtime.engine.activations.size, { interval: 5 }).toBe(1);
  second.ends[0]?.('of its own');
  expect(await handle.getResult({ timeoutSeconds: 5 })).toBe('of its own');
});
