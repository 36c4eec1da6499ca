// A workflow that only waits leaves memory, and is back when what it waits for comes, whoever brings it.
import { setTimeout as delay } from 'node:timers/promises';
import type { Pawl, Workflow } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, describe, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';

const inMemory = (pawl: Pawl, id: string) => internals(pawl).runtime.engine.activations.has(id);
/** Its row says so, and this process has let go of it. */
const parks = (pawl: Pawl, id: string) =>
  expect
    .poll(async () => ((await pawl.getWorkflowStatus(id))?.parked ? !inMemory(pawl, id) : false), {
      interval: 10,
      timeout: 10_000,
    })
    .toBe(true);

describeEachDriver('parking', (driver) => {
  let pawl: Pawl;
  let bodies: string[] = [];

  beforeAll(async () => {
    pawl = await driver.launch({ parkAfterSeconds: 0.05 });
  });

  let made = 0;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `parks${++made}` });

  const waits: [string, (on: Pawl) => Promise<unknown>, (on: Pawl) => Promise<unknown>, unknown][] = [
    ['recv, by a message', (on) => on.recv('go', 600), (on) => on.send('parked', 'hello', 'go'), 'hello'],
    ['recv without end', (on) => on.recv('go', Infinity), (on) => on.send('parked', 1, 'go'), 1],
    [
      'getEvent, by setEvent',
      (on) => on.getEvent('other', 'key', 600),
      (on) => on.send('other', 'value', 'set'),
      'value',
    ],
    [
      'a result, by a finish',
      (on) => on.retrieveWorkflow('other').getResult(),
      (on) => on.send('other', 'value', 'finish'),
      'finished with value',
    ],
    ['recv, by time', (on) => on.recv('go', 0.4), async () => {}, null],
    ['getEvent, by time', (on) => on.getEvent('other', 'key', 0.4), async () => {}, null],
    ['a sleep, by time', (on) => on.sleep(400).then(() => 'slept'), async () => {}, 'slept'],
    [
      'several, by the first to come',
      (on) => Promise.race([on.recv('never', 600), on.recv('go', 600), on.sleep('1h')]),
      (on) => on.send('parked', 'first', 'go'),
      'first',
    ],
    [
      'several, by the last to come',
      (on) => Promise.all([on.recv('go', 600), on.sleep(200), on.recv('go', 600)]),
      async (on) => {
        await on.send('parked', 1, 'go');
        // The sleep is over, too, and it waits for nothing but the second message.
        const waits = async () =>
          (await on.getWorkflowStatus('parked'))?.parked &&
          (await on.listWorkflowSteps('parked')).filter(({ completedAt }) => completedAt === null).length;
        await expect.poll(waits, { interval: 10 }).toBe(1);
        await on.send('parked', 2, 'go');
      },
      [1, undefined, 2],
    ],
  ];

  /** The workflow that waits, and one that sets the event and ends as it is told. */
  function register(on: Pawl, wait: (on: Pawl) => Promise<unknown>, name: string) {
    const waiting = on.registerWorkflow(
      async () => {
        bodies.push('body');
        await on.runStep(() => bodies.push('step'));
        const value = await wait(on);
        await on.runStep(() => bodies.push('after'));
        return value;
      },
      { name: `waiting for ${name}` },
    );
    const other = on.registerWorkflow(
      async () => {
        const told = await Promise.race([
          on.recv<string>('set', 600).then(async (value) => {
            await on.setEvent('key', value);
            return on.recv<string>('finish', 600);
          }),
          on.recv<string>('finish', 600),
        ]);
        return `finished with ${told}`;
      },
      { name: `other for ${name}` },
    );
    return { waiting, other };
  }

  async function clear(on: Pawl) {
    for (const id of ['parked', 'other']) await on.deleteWorkflow(id).catch(() => {});
  }

  describe('and waking in the same process', () => {
    test.each(waits)('from %s', async (name, wait, wake, expected) => {
      bodies = [];
      await clear(pawl);
      const { waiting, other } = register(pawl, wait, name);
      await pawl.startWorkflow(other, { workflowID: 'other' })();
      const handle = await pawl.startWorkflow(waiting, { workflowID: 'parked' })();
      await parks(pawl, 'parked');
      expect(await handle.getStatus()).toMatchObject({ status: 'PENDING', executorID: null, blocked: null });
      await wake(pawl);
      expect(await handle.getResult()).toEqual(expected);
      expect(bodies.filter((what) => what === 'step')).toHaveLength(1);
      expect(bodies.filter((what) => what === 'after')).toHaveLength(1);
      expect(bodies.filter((what) => what === 'body').length).toBeGreaterThan(1);
      expect((await handle.getStatus())?.parked).toBe(false);
    });
  });

  if (driver.server) {
    describe('and waking by another process, in whichever of the two', () => {
      test.each(waits)('from %s', async (name, wait, wake, expected) => {
        const schema = driver.freshSchema();
        const processes = [0, 1].map(() => driver.create({ schema, parkAfterSeconds: 0.05 }));
        const [a, b] = processes as [Pawl, Pawl];
        const { waiting, other } = register(a, wait, name);
        register(b, wait, name);
        await a.launch();
        await a.startWorkflow(other, { workflowID: 'other' })();
        await a.startWorkflow(waiting, { workflowID: 'parked' })();
        await parks(a, 'parked');
        await b.launch();
        const begun = performance.now();
        await wake(b);
        const results = await Promise.all(
          processes.map((process) => process.retrieveWorkflow('parked').getResult()),
        );
        expect(results).toEqual([expected, expected]);
        expect(performance.now() - begun).toBeLessThan(6000);
      });

      test('a process that starts later takes what was parked by one that is gone', async () => {
        const schema = driver.freshSchema();
        const [a, b] = [0, 1].map(() => driver.create({ schema, parkAfterSeconds: 0.05 })) as [Pawl, Pawl];
        for (const process of [a, b]) register(process, (on) => on.recv('go', 600), 'takeover');
        await a.launch();
        await a.startWorkflow('waiting for takeover', { workflowID: 'parked' })();
        await parks(a, 'parked');
        await a.shutdown();
        await b.launch();
        await b.send('parked', 'hello', 'go');
        expect(await b.retrieveWorkflow('parked').getResult()).toBe('hello');
        expect((await b.getWorkflowStatus('parked'))?.recoveryAttempts).toBe(0);
      });
    });
  }

  test('ends with a cancellation, and a resume brings the wait back', async () => {
    const waiting = workflow(async () => pawl.recv('go', 600));
    const handle = await pawl.startWorkflow(waiting, { workflowID: 'cancelled' })();
    const observing = workflow(async () =>
      pawl
        .retrieveWorkflow('cancelled')
        .getResult()
        .catch((error: unknown) => (error as Error).name),
    );
    const observer = await pawl.startWorkflow(observing, { workflowID: 'observer' })();
    await parks(pawl, 'cancelled');
    await parks(pawl, 'observer');
    await handle.cancel();
    expect((await handle.getStatus())?.status).toBe('CANCELLED');
    expect(await observer.getResult()).toBe('AwaitedWorkflowCancelledError');
    await pawl.resumeWorkflow('cancelled');
    await parks(pawl, 'cancelled');
    await pawl.send('cancelled', 'back', 'go');
    expect(await pawl.retrieveWorkflow('cancelled').getResult()).toBe('back');
  });

  test('ends with the deadline of the workflow', async () => {
    const waiting = workflow(async () => pawl.recv('go', 600));
    const handle = await pawl.startWorkflow(waiting, { timeout: 500 })();
    await parks(pawl, handle.workflowID);
    await expect(handle.getResult()).rejects.toMatchObject({ name: 'WorkflowTimeoutError' });
  });

  test('happens along a chain of parents; the last finish wakes them all', async () => {
    const chain = pawl.registerWorkflow(
      async (depth: number): Promise<unknown> => {
        if (depth === 0) return pawl.recv('go', 600);
        const child = await pawl.startWorkflow('chain')(depth - 1);
        return child.getResult();
      },
      { name: 'chain' },
    );
    const handle = await pawl.startWorkflow(chain, { workflowID: 'chain' })(4);
    await parks(pawl, 'chain');
    await parks(pawl, 'chain-0-0-0-0');
    await pawl.send('chain-0-0-0-0', 'from below', 'go');
    expect(await handle.getResult()).toBe('from below');
  });

  test('does not happen while a step runs, and happens after it', async () => {
    let finish = () => {};
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const busy = workflow(async () => {
      const message = pawl.recv('go', 600);
      await pawl.runStep(() => finished);
      return message;
    });
    const handle = await pawl.startWorkflow(busy, { workflowID: 'busy' })();
    const { activations } = internals(pawl).runtime.engine;
    const timer = () => activations.get('busy')?.parkTimer;
    await expect.poll(timer, { interval: 5 }).toBeDefined();
    const first = timer();
    // It was looked at, and is looked at once more.
    await expect.poll(() => ![undefined, first].includes(timer()), { interval: 5 }).toBe(true);
    expect((await handle.getStatus())?.parked).toBe(false);
    expect(inMemory(pawl, 'busy')).toBe(true);
    finish();
    await parks(pawl, 'busy');
    await pawl.send('busy', 'hello', 'go');
    expect(await handle.getResult()).toBe('hello');
  });

  test('happens when one of several waits is over and the others go on', async () => {
    const both = workflow(async () => Promise.all([pawl.recv('first', 600), pawl.recv('second', 600)]));
    const handle = await pawl.startWorkflow(both, { workflowID: 'both' })();
    await expect.poll(async () => (await pawl.listWorkflowSteps('both')).length, { interval: 2 }).toBe(2);
    await pawl.send('both', 1, 'first');
    await parks(pawl, 'both');
    expect((await pawl.listMessages('both'))[0]?.consumedBy).toBe(0);
    await pawl.send('both', 2, 'second');
    expect(await handle.getResult()).toEqual([1, 2]);
  });

  test('happens in spite of a message that nobody receives', async () => {
    const other = await driver.launch({ parkAfterSeconds: 0.8 });
    const waiting = other.registerWorkflow(async () => other.recv('go', 600), { name: 'waiting' });
    const handle = await other.startWorkflow(waiting, { workflowID: 'pestered' })();
    await other.send('pestered', 'spam', 'another topic');
    await parks(other, 'pestered');
    await other.send('pestered', 'hello', 'go');
    expect(await handle.getResult()).toBe('hello');
  });

  test('does not happen to a workflow whose waits are short', async () => {
    const other = await driver.launch({ parkAfterSeconds: 0.5 });
    let bodies = 0;
    const chatting = other.registerWorkflow(
      async () => {
        bodies++;
        for (let i = 0; i < 15; i++) await other.recv('go', 600);
      },
      { name: 'chatting' },
    );
    const handle = await other.startWorkflow(chatting, { workflowID: 'chatting' })();
    for (let i = 0; i < 15; i++) {
      await delay(50);
      await other.send('chatting', i, 'go');
    }
    await handle.getResult();
    expect(bodies).toBe(1);
  });

  test('at once, and waking at any moment, loses no message: 60 workflows, 10 messages each', async () => {
    const eager = await driver.launch({ parkAfterSeconds: 0 });
    const reading = eager.registerWorkflow(
      async () => {
        const received: unknown[] = [];
        for (let i = 0; i < 10; i++) received.push(await eager.recv('go', 600));
        return received;
      },
      { name: 'reading' },
    );
    const ids = Array.from({ length: 60 }, (_, i) => `eager-${i}`);
    const handles = await Promise.all(
      ids.map((workflowID) => eager.startWorkflow(reading, { workflowID })()),
    );
    await Promise.all(
      ids.map(async (id, n) => {
        for (let i = 0; i < 10; i++) {
          await eager.send(id, i, 'go');
          await delay((n * 7 + i * 3) % 20);
        }
      }),
    );
    const expected = Array.from({ length: 10 }, (_, i) => i);
    for (const handle of handles) expect(await handle.getResult({ timeoutSeconds: 20 })).toEqual(expected);
  });

  test('of many that sleep ends for all of them in time', async () => {
    const eager = await driver.launch({ parkAfterSeconds: 0 });
    const sleeping = eager.registerWorkflow(async () => eager.sleep(300), { name: 'sleeping' });
    const handles = await Promise.all(Array.from({ length: 300 }, () => eager.startWorkflow(sleeping)()));
    await Promise.all(handles.map((handle) => handle.getResult({ timeoutSeconds: 20 })));
  });
});
