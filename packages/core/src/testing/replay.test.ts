import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { serverURL } from '@pawl/test-support';
import { ConfigurationError, NonDeterminismError, NonExistentWorkflowError, Pawl } from '../index.ts';
import { exportHistory, type History, replay, testDatabase, type TestDatabase } from './index.ts';

let database: TestDatabase;
let pawl: Pawl;
let executions = 0;

/** The code that made the histories. */
function original(on: Pawl) {
  const child = on.registerWorkflow(async (n: number) => n * 2, { name: 'child' });
  const order = on.registerWorkflow(
    async (item: string, { fail = false } = {}) => {
      const reserve = async (n: number) => {
        const reserved = await on.runStep(() => ++executions && `${item} ${n}`, { name: 'reserve' });
        return on.runStep(() => ++executions && `charged ${reserved}`, { name: 'charge' });
      };
      const charged = await Promise.all([reserve(1), reserve(2), reserve(3)]);
      await on.runTransaction(async (tx) => (await tx.query('SELECT 1')).rowCount, { name: 'book' });
      await on.sleep(1);
      await on.setEvent('progress', { at: await on.now(), id: await on.randomUUID() });
      const handle = await on.startWorkflow(child)(21);
      const doubled = await handle.getResult();
      const message = await on.recv<string>('paid', 60);
      if (fail) throw new RangeError('no stock');
      return { charged, doubled, message };
    },
    { name: 'order' },
  );
  return { order };
}

beforeAll(async () => {
  database = await testDatabase({ url: serverURL() });
  pawl = new Pawl(database);
});

afterAll(async () => {
  await pawl.shutdown();
  await database.drop();
});

const histories: Record<'done' | 'failed' | 'waiting', History> = {} as never;

beforeAll(async () => {
  const { order } = original(pawl);
  await pawl.launch();
  const done = await pawl.startWorkflow(order, { workflowID: 'done' })('cup');
  const failed = await pawl.startWorkflow(order, { workflowID: 'failed' })('cup', { fail: true });
  await pawl.startWorkflow(order, { workflowID: 'waiting' })('cup');
  await pawl.send('done', 'yes', 'paid');
  await pawl.send('failed', 'yes', 'paid');
  await done.getResult();
  await failed.getResult().catch(() => {});
  await vi.waitFor(async () => {
    expect((await pawl.listWorkflowSteps('waiting')).at(-1)?.kind).toBe('recv');
  });
  for (const id of ['done', 'failed', 'waiting'] as const) {
    const history = await exportHistory(pawl, id);
    histories[id] = JSON.parse(JSON.stringify(history)) as History;
  }
});

/** The present code, in a Pawl that was never launched. */
function present(register: (on: Pawl) => { order: ReturnType<typeof original>['order'] } = original) {
  return register(new Pawl({ database: 'postgres://nowhere.invalid/none' })).order;
}

function changed(body: (on: Pawl, item: string) => Promise<unknown>) {
  return present((on) => ({
    order: on.registerWorkflow((item: string) => body(on, item) as never, { name: 'order' }),
  }));
}

test('the same code replays without running a step, and comes to the recorded result', async () => {
  const before = executions;
  const result = await replay(histories.done, present());
  expect(result).toEqual({ status: 'SUCCESS', output: await pawl.retrieveWorkflow('done').getResult() });
  expect(executions).toBe(before);
});

test('a failed workflow fails again', async () => {
  const result = await replay(histories.failed, present());
  expect(result).toMatchObject({ status: 'ERROR', error: new RangeError('no stock') });
});

test('an unfinished workflow replays up to what it waits for', async () => {
  expect(await replay(histories.waiting, present())).toEqual({ status: 'PENDING' });
});

test('a launched Pawl replays as well, and goes on to work', async () => {
  const launched = new Pawl(database);
  const { order } = original(launched);
  await launched.launch();
  expect(await replay(histories.done, order)).toMatchObject({ status: 'SUCCESS' });
  await launched.shutdown();
});

test('a renamed step is nondeterminism, and the error shows both sides', async () => {
  const order = changed(async (on) => {
    await on.runStep(() => 1, { name: 'acquire' });
  });
  const error = await replay(histories.done, order).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(NonDeterminismError);
  expect(error).toMatchObject({
    stepID: 0,
    recorded: { kind: 'step', name: 'reserve' },
    called: { kind: 'step', name: 'acquire' },
  });
});

test('a recorded step that is called no more is nondeterminism', async () => {
  const order = changed(async (on) => {
    await Promise.all([1, 2, 3].map(() => on.runStep(() => 1, { name: 'reserve' })));
  });
  await expect(replay(histories.done, order)).rejects.toMatchObject({
    name: 'NonDeterminismError',
    called: null,
  });
});

test('a step after the recorded end is nondeterminism', async () => {
  const order = changed(async (on, item) => {
    await Promise.all(
      [1, 2, 3].map(async (n) => {
        await on.runStep(() => `${item} ${n}`, { name: 'reserve' });
        return on.runStep(() => n, { name: 'charge' });
      }),
    );
    await on.runTransaction(async () => 1, { name: 'book' });
    await on.sleep(1);
    await on.now();
  });
  const short = { ...histories.done, steps: histories.done.steps.slice(0, 8) };
  const error = await replay(short, order).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    name: 'NonDeterminismError',
    stepID: 8,
    recorded: { kind: 'end', name: 'SUCCESS' },
    called: { kind: 'now' },
  });
});

test('a patch without a marker: the old way in a run that has ended, the end of the replay in one that goes on', async () => {
  const ways: boolean[] = [];
  const order = changed(async (on, item) => {
    const reserve = () => on.runStep(() => item, { name: 'reserve' });
    await Promise.all([reserve(), reserve(), reserve()]);
    ways.push(await on.patch('change'));
  });
  const steps = histories.done.steps.slice(0, 3);
  expect(await replay({ ...histories.done, steps }, order)).toMatchObject({ status: 'SUCCESS' });
  expect(ways).toEqual([false]);
  expect(await replay({ ...histories.waiting, steps }, order)).toEqual({ status: 'PENDING' });
  const marker = { ...steps[0], stepID: 3, seq: 4, kind: 'patch', name: 'change' } as never;
  const marked = { ...histories.done, steps: [...steps, marker] };
  expect(await replay(marked, order)).toMatchObject({ status: 'SUCCESS' });
  expect(ways).toEqual([false, true]);
});

test('another end than the recorded one is nondeterminism, with what was thrown as its cause', async () => {
  const short = { ...histories.done, steps: [] };
  const order = changed(() => Promise.reject(new TypeError('undefined is not a function')));
  const error = await replay(short, order).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'NonDeterminismError', called: { kind: 'end', name: 'ERROR' } });
  expect((error as Error).cause).toMatchObject({ message: 'undefined is not a function' });
});

test('a history of another workflow is refused', async () => {
  await expect(replay({ ...histories.done, name: 'other' }, present())).rejects.toBeInstanceOf(
    ConfigurationError,
  );
  await expect(exportHistory(pawl, 'nobody')).rejects.toBeInstanceOf(NonExistentWorkflowError);
});
