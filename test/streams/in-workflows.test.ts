// readStream inside a workflow: each batch is a step, so that a replay is given what the first run was.
import type { Pawl, Workflow } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { becomes } from '../http/telling.ts';

describeEachDriver('a workflow that reads a stream', (driver) => {
  let pawl: Pawl;
  let made = 0;
  let writing: Workflow<[number], void>;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `reading${++made}` });
  const newID = () => `w${++made}`;

  /** Up to `last`, or all. */
  async function read(id: string, last = Number.POSITIVE_INFINITY): Promise<unknown[]> {
    const values: unknown[] = [];
    for await (const value of pawl.readStream(id, 'key')) {
      values.push(value);
      if (value === last) break;
    }
    return values;
  }

  beforeAll(async () => {
    pawl = await driver.launch();
    // Two values for each message, until it is told to stop.
    writing = pawl.registerWorkflow(
      async (first: number) => {
        for (let n = first; (await pawl.recv('more', 600)) !== 'stop'; n += 2)
          await Promise.all([pawl.writeStream('key', n), pawl.writeStream('key', n + 1)]);
      },
      { name: 'writing' },
    );
  });
  const more = (id: string, word = 'go') => pawl.send(id, word, 'more');

  test('is given what is there and what comes, to the end, and the same on replay', async () => {
    const runs: unknown[][] = [];
    const source = newID();
    const reading = workflow(async () => {
      const values = await read(source);
      runs.push(values);
      return values;
    });
    const reader = await pawl.startWorkflow(reading)();
    await pawl.startWorkflow(writing, { workflowID: source })(0);
    for (let n = 0; n < 3; n++) {
      await more(source);
      await becomes(async () =>
        (await pawl.listWorkflowSteps(reader.workflowID)).some(
          ({ output }) => (output as { next?: number } | undefined)?.next === 2 * n + 2,
        ),
      );
    }
    await more(source, 'stop');
    expect(await reader.getResult()).toEqual([0, 1, 2, 3, 4, 5]);
    const steps = await pawl.listWorkflowSteps(reader.workflowID);
    expect(steps.map(({ kind, name }) => [kind, name])).toEqual(steps.map(() => ['readStream', 'key']));
    expect(steps.map(({ output }) => output)).toEqual([
      ...[0, 2, 4].map((n) => ({ values: [n, n + 1], next: n + 2, done: false })),
      { values: [], next: 6, done: true },
    ]);
    await pawl.deleteWorkflow(source);
    expect(await (await pawl.forkWorkflow(reader.workflowID, 100)).getResult()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(runs).toHaveLength(2);
  });

  test('may leave early; a replay leaves there too, whatever was written since', async () => {
    const source = newID();
    await pawl.startWorkflow(writing, { workflowID: source })(0);
    await more(source);
    const reading = workflow(async () => [await read(source, 0), await pawl.now()]);
    const reader = await pawl.startWorkflow(reading)();
    const result = await reader.getResult();
    await more(source);
    expect(result[0]).toEqual([0]);
    expect(await (await pawl.forkWorkflow(reader.workflowID, 100)).getResult()).toEqual(result);
    await more(source, 'stop');
  });

  test('reads two streams at once, and a replay hears of them in the same order', async () => {
    const [a, b] = [newID(), newID()];
    const order: string[][] = [];
    const reading = workflow(async () => {
      const heard: string[] = [];
      const listen = async (id: string) => {
        for await (const value of pawl.readStream<number>(id, 'key')) {
          heard.push(await pawl.runStep(() => `${id} ${value}`));
        }
      };
      await Promise.all([listen(a), listen(b)]);
      order.push(heard);
    });
    const reader = await pawl.startWorkflow(reading)();
    for (const id of [a, b]) await pawl.startWorkflow(writing, { workflowID: id })(0);
    for (const id of [a, b, b, a]) await more(id);
    for (const id of [a, b]) await more(id, 'stop');
    await reader.getResult();
    expect(order[0]).toHaveLength(8);
    await (await pawl.forkWorkflow(reader.workflowID, 100)).getResult();
    expect(order[1]).toEqual(order[0]);
  });

  test('is cancelled while it waits, at once, and leaves nothing behind', async () => {
    const { runtime } = internals(pawl);
    const told: unknown[] = [];
    const reading = workflow(() => read(newID()).catch((error: unknown) => told.push(error)));
    const handle = await pawl.startWorkflow(reading)();
    await becomes(() => runtime.waiting > 0);
    await handle.cancel();
    await becomes(() => told.length === 1);
    expect(told[0]).toMatchObject({ code: 'PAWL_WORKFLOW_CANCELLED' });
    await becomes(() => runtime.waiting === 0);
  });

  test('that does not wait for its reader ends, and nothing of the reader is left', async () => {
    const { runtime } = internals(pawl);
    const source = newID();
    const reading = workflow(async () => {
      const reader = pawl.readStream(source, 'key')[Symbol.asyncIterator]();
      const next = reader.next();
      const first = await Promise.race([next, pawl.sleep(30).then(() => 'too late')]);
      return [first, await reader.return?.()];
    });
    const result = await (await pawl.startWorkflow(reading)()).getResult();
    expect(result).toEqual(['too late', { done: true, value: undefined }]);
    await becomes(() => runtime.waiting === 0);
  });

  test('does not hold up a shutdown, and goes on elsewhere', async () => {
    if (!driver.server) return;
    const schema = driver.freshSchema();
    const launch = async () => {
      const one = driver.create({ schema, applicationVersion: 'v1' });
      const reading = one.registerWorkflow(
        async () => {
          const values: unknown[] = [];
          for await (const value of one.readStream('source', 'key')) values.push(value);
          return values;
        },
        { name: 'reading' },
      );
      const source = one.registerWorkflow(
        async () => {
          await one.writeStream('key', 'first');
          await one.recv('end', 600);
          await one.writeStream('key', 'last');
        },
        { name: 'source' },
      );
      await one.launch();
      return { one, reading, source };
    };
    const { one, reading, source } = await launch();
    await one.startWorkflow(source, { workflowID: 'source' })();
    await one.startWorkflow(reading, { workflowID: 'reader' })();
    await becomes(async () => (await one.listWorkflowSteps('reader')).length === 1);
    const begun = performance.now();
    await one.shutdown({ graceSeconds: 20 });
    expect(performance.now() - begun).toBeLessThan(10_000);
    const other = await launch();
    await other.one.send('source', 1, 'end');
    expect(await other.one.retrieveWorkflow('reader').getResult()).toEqual(['first', 'last']);
  });
});
