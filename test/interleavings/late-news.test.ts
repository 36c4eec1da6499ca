// News of a cancellation that arrives late, when a resume has begun the next run: it concerns the run before alone.
import { Pawl } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { quiet } from '../support/drivers.ts';

let database: TestDatabase;
const launched: Pawl[] = [];
let go = () => {};

beforeAll(async () => {
  database = await createDatabase();
});

afterAll(async () => {
  await Promise.all(launched.map((pawl) => pawl.shutdown({ graceSeconds: 0 })));
  await database.drop();
});

async function launch(): Promise<Pawl> {
  const pawl = new Pawl({ database: database.url, logger: quiet });
  launched.push(pawl);
  return pawl.launch();
}

async function start(id: string) {
  const pawl = await launch();
  let runs = 0;
  const patient = pawl.registerWorkflow(
    async function patient() {
      runs++;
      await pawl.runStep(() => new Promise<void>((resolve) => (go = resolve)), { name: 'long' });
      return pawl.runStep(() => 'through', { name: 'last' });
    },
    { name: `patient-${id}` },
  );
  const handle = await pawl.startWorkflow(patient, { workflowID: id })();
  const begun = (run: number) => expect.poll(() => runs, { interval: 5 }).toBe(run);
  await begun(1);
  return { pawl, handle, begun };
}

test('a hint of the cancellation from another process', async () => {
  const { pawl, handle, begun } = await start('hinted');
  const other = await launch();
  const { hints } = internals(other).runtime;
  const late: (() => void)[] = [];
  const tell = hints.tellCancelled.bind(hints);
  hints.tellCancelled = (...news) => late.push(() => tell(...news));

  const { executor } = internals(pawl).runtime;
  const onCancelled = executor.onCancelled.bind(executor);
  let arrived = 0;
  executor.onCancelled = (...news) => {
    onCancelled(...news);
    arrived++;
  };

  await other.cancelWorkflow('hinted');
  await other.resumeWorkflow('hinted');
  await begun(2);
  expect(late).toHaveLength(2);
  for (const send of late) send();
  await expect.poll(() => arrived, { interval: 5 }).toBeGreaterThan(0);
  go();
  expect(await handle.getResult({ timeoutSeconds: 5 })).toBe('through');
});

test.each(['cancel', 'resume'] as const)('the answer of a %s of its own', async (verb) => {
  const { pawl, handle, begun } = await start(`own-${verb}`);
  const other = await launch();
  const { database: own } = internals(pawl);
  const query = own.query.bind(own);
  const id = handle.workflowID;
  if (verb === 'resume') await pawl.cancelWorkflow(id);
  own.query = async (text, params) => {
    const answer = await query<never>(text, params);
    if (text.includes(`pawl.${verb}(`)) {
      own.query = query;
      await other.resumeWorkflow(id);
      await internals(pawl).runtime.executor.tickNow();
      await begun(2);
    }
    return answer;
  };
  await (verb === 'cancel' ? pawl.cancelWorkflow(id) : pawl.resumeWorkflow(id));
  go();
  expect(await handle.getResult({ timeoutSeconds: 5 })).toBe('through');
});
