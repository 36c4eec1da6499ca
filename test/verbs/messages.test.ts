// send and recv: first in, first out per destination and topic, each message once.
import { defineTopic, NonExistentWorkflowError, type Pawl, ValidationError, type Workflow } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';

describeEachDriver('messages', (driver) => {
  let pawl: Pawl;

  beforeAll(async () => {
    pawl = await driver.launch();
  });

  let made = 0;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `messages${++made}` });

  /** Receives so many, one after another. */
  const receive = async (topic: string | undefined, count: number) => {
    const received: unknown[] = [];
    for (let i = 0; i < count; i++) received.push(await pawl.recv(topic, 20));
    return received;
  };
  let receiver: Workflow<[string | undefined, number], unknown[]>;
  beforeAll(() => {
    receiver = workflow(receive);
  });
  const startReceiver = (workflowID: string, topic: string | undefined, count: number) =>
    pawl.startWorkflow(receiver, { workflowID })(topic, count);

  test('arrive in the order in which they were sent, 200 of them, one after another', async () => {
    const handle = await startReceiver('in-turn', 'topic', 200);
    for (let i = 0; i < 200; i++) await pawl.send('in-turn', i, 'topic');
    expect(await handle.getResult()).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  test('arrive in the order in which they were sent, 200 at once, before and while they are read', async () => {
    const send = (i: number) => pawl.send('at-once', i, 'topic');
    const [handle] = await Promise.all([
      startReceiver('at-once', 'topic', 200),
      // The first ones meet nobody: they are kept.
      ...Array.from({ length: 100 }, (_, i) => pawl.send('at-once', i, 'topic', { onMissing: 'park' })),
    ]);
    await Promise.all(Array.from({ length: 100 }, (_, i) => send(100 + i)));
    expect(await handle.getResult()).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  test('from a workflow arrive in order, once, also when it is replayed', async () => {
    const handle = await startReceiver('from-workflow', 'topic', 101);
    const sender = workflow(async () => {
      for (let i = 0; i < 50; i++) await pawl.send('from-workflow', i, 'topic');
      await Promise.all(Array.from({ length: 50 }, (_, i) => pawl.send('from-workflow', 50 + i, 'topic')));
      await pawl.recv('go', 600);
    });
    await pawl.startWorkflow(sender, { workflowID: 'sender' })();
    await expect
      .poll(async () => (await pawl.listMessages('from-workflow')).length, { interval: 10 })
      .toBe(100);
    await pawl.shutdown({ graceSeconds: 0 });
    await pawl.launch();
    await pawl.send('sender', 1, 'go');
    await pawl.retrieveWorkflow('sender').getResult();
    await pawl.send('from-workflow', 100, 'topic');
    expect(await pawl.retrieveWorkflow(handle.workflowID).getResult()).toEqual(
      Array.from({ length: 101 }, (_, i) => i),
    );
    expect((await pawl.listMessages('from-workflow'))[0]).toMatchObject({ senderWorkflowID: 'sender' });
  });

  test('of several topics do not mix, and those without one are seen without one only', async () => {
    const reading = workflow(async () => [
      await pawl.recv('b', 20),
      await pawl.recv(undefined, 20),
      await pawl.recv('a', 20),
      await pawl.recv('a', 0),
      await pawl.recv(undefined, 0),
      await pawl.recv('b', 20),
    ]);
    const handle = await pawl.startWorkflow(reading, { workflowID: 'topics' })();
    await pawl.send('topics', 'for a', 'a');
    await pawl.send('topics', 'for nobody in particular');
    await pawl.send('topics', 'for b', 'b');
    await pawl.send('topics', 'for b again', 'b');
    expect(await handle.getResult()).toEqual([
      'for b',
      'for nobody in particular',
      'for a',
      null,
      null,
      'for b again',
    ]);
  });

  test('received at once go to the receivers in their order', async () => {
    const reading = workflow(async () =>
      Promise.all([pawl.recv('t', 20), pawl.recv('t', 20), pawl.recv('u', 20), pawl.recv('t', 20)]),
    );
    const early = await pawl.startWorkflow(reading, { workflowID: 'receivers-first' })();
    await expect
      .poll(async () => (await pawl.listWorkflowSteps('receivers-first')).length, { interval: 10 })
      .toBe(4);
    const all = (id: string) =>
      Promise.all([1, 2, 3].map((n) => pawl.send(id, n, 't', { onMissing: 'park' }))).then(() =>
        pawl.send(id, 'u', 'u', { onMissing: 'park' }),
      );
    await all('receivers-first');
    expect(await early.getResult()).toEqual([1, 2, 'u', 3]);
    await all('messages-first');
    const late = await pawl.startWorkflow(reading, { workflowID: 'messages-first' })();
    expect(await late.getResult()).toEqual([1, 2, 'u', 3]);
    const fork = await pawl.forkWorkflow('messages-first', 4);
    expect(await fork.getResult()).toEqual([1, 2, 'u', 3]);
  });

  test('of any value arrive as they were', async () => {
    const values = [null, undefined, 0, 'a\0b', new Map([[1n, new Date(0)]]), { a: [undefined] }];
    const handle = await startReceiver('values', 'topic', values.length);
    for (const value of values) await pawl.send('values', value, 'topic');
    expect(await handle.getResult()).toEqual(values);
  });

  test('that cannot be stored are an error, and nothing is sent', async () => {
    await startReceiver('unstorable', 'topic', 1);
    const send = () => pawl.send('unstorable', { fn() {} }, 'topic');
    await expect(send()).rejects.toMatchObject({ name: 'SerializationError', path: '$.fn' });
    await expect(workflow(send)()).rejects.toMatchObject({ name: 'SerializationError' });
    expect(await pawl.listMessages('unstorable')).toEqual([]);
    await pawl.cancelWorkflow('unstorable');
  });

  test('that do not come are null after the time', async () => {
    const begun = performance.now();
    const reading = workflow(async () => [await pawl.recv('topic', 0.1), await pawl.recv('topic', 0)]);
    const handle = await pawl.startWorkflow(reading)();
    expect(await handle.getResult()).toEqual([null, null]);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(99);
    await pawl.send(handle.workflowID, 'too late', 'topic');
    expect(await (await pawl.forkWorkflow(handle.workflowID, 2)).getResult()).toEqual([null, null]);
  });

  test('that wait are received without patience', async () => {
    await pawl.send('impatient', 'here', 'topic', { onMissing: 'park' });
    const reading = workflow(async () => pawl.recv('topic', 0));
    const handle = await pawl.startWorkflow(reading, { workflowID: 'impatient' })();
    expect(await handle.getResult()).toBe('here');
  });

  test('with one idempotency key are one message per destination', async () => {
    await Promise.all([startReceiver('keyed-1', 'topic', 1), startReceiver('keyed-2', 'topic', 1)]);
    const options = { idempotencyKey: 'webhook-7' };
    await Promise.all(
      ['keyed-1', 'keyed-2', 'keyed-1'].map((id) => pawl.send(id, `to ${id}`, 'topic', options)),
    );
    await pawl.send('keyed-1', 'again', 'topic', options);
    await pawl.withNextWorkflowID('webhook-8', () => pawl.send('keyed-1', 'other', 'topic'));
    await pawl.withNextWorkflowID('webhook-8', () => pawl.send('keyed-1', 'other again', 'topic'));
    const messages = async (id: string) => (await pawl.listMessages(id)).map(({ message }) => message);
    expect(await messages('keyed-1')).toEqual(['to keyed-1', 'other']);
    expect(await messages('keyed-2')).toEqual(['to keyed-2']);
  });

  test('to a workflow that does not exist are an error, inside and outside, and on replay', async () => {
    const send = () => pawl.send('nobody', 1, 'topic');
    await expect(send()).rejects.toThrow(NonExistentWorkflowError);
    const sending = workflow(async () => send().catch((error: unknown) => error));
    const handle = await pawl.startWorkflow(sending)();
    const live = await handle.getResult();
    const replayed = await (await pawl.forkWorkflow(handle.workflowID, 1)).getResult();
    for (const error of [live, replayed]) {
      expect(error).toBeInstanceOf(NonExistentWorkflowError);
      expect(error).toMatchObject({ workflowID: 'nobody' });
    }
    expect(await pawl.getWorkflowStatus('nobody')).toBeNull();
    expect(await pawl.listMessages('nobody')).toEqual([]);
  });

  test('parked for a workflow are there when it starts, in order, and nobody sees it before', async () => {
    const park = { onMissing: 'park' } as const;
    await pawl.send('parked-for', 1, 'topic', park);
    await workflow(async () => pawl.send('parked-for', 2, 'topic', park))();
    await pawl.send('parked-for', 3, 'topic', park);
    expect(await pawl.getWorkflowStatus('parked-for')).toBeNull();
    expect((await pawl.listWorkflows({ workflowIDs: ['parked-for'] })).workflows).toEqual([]);
    await expect(pawl.send('parked-for', 4, 'topic')).rejects.toThrow(NonExistentWorkflowError);
    const handle = await startReceiver('parked-for', 'topic', 3);
    expect(await handle.getResult()).toEqual([1, 2, 3]);
    expect((await handle.getStatus())?.name).toBe(receiver.workflowName);
  });

  test('to a finished workflow are kept and change nothing, until a fork reads them', async () => {
    const reading = workflow(async () => [await pawl.recv('topic', 0), await pawl.recv('topic', 0)]);
    const handle = await pawl.startWorkflow(reading, { workflowID: 'finished' })();
    expect(await handle.getResult()).toEqual([null, null]);
    await pawl.send('finished', 'late', 'topic');
    expect((await handle.getStatus())?.status).toBe('SUCCESS');
    expect(await handle.getResult()).toEqual([null, null]);
    expect(await pawl.listMessages('finished')).toMatchObject([{ message: 'late', consumedBy: null }]);
    expect(await (await pawl.forkWorkflow('finished', 1)).getResult()).toEqual([null, 'late']);
  });

  test('received before a restart are not received again', async () => {
    const reading = workflow(async () => {
      const first = await pawl.recv('topic', 600);
      return [first, await pawl.recv('topic', 600)];
    });
    await pawl.startWorkflow(reading, { workflowID: 'restarted' })();
    await pawl.send('restarted', 'one', 'topic');
    await expect
      .poll(async () => (await pawl.listMessages('restarted'))[0]?.consumedBy, { interval: 10 })
      .toBe(0);
    await pawl.shutdown({ graceSeconds: 0 });
    await pawl.launch();
    await pawl.send('restarted', 'two', 'topic');
    expect(await pawl.retrieveWorkflow('restarted').getResult()).toEqual(['one', 'two']);
  });

  test('of a topic with a schema are checked where they are sent', async () => {
    const paid = defineTopic<{ amount: number }>('paid', {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) =>
          typeof (value as { amount?: unknown }).amount === 'number'
            ? { value: { amount: (value as { amount: number }).amount } }
            : { issues: [{ message: 'expected a number', path: ['amount'] }] },
      },
    });
    const reading = workflow(async () => pawl.recv(paid, 20));
    const handle = await pawl.startWorkflow(reading, { workflowID: 'schema' })();
    const wrong = { amount: '3' } as unknown as { amount: number };
    await expect(pawl.send('schema', wrong, paid)).rejects.toThrow(ValidationError);
    await expect(workflow(async () => pawl.send('schema', wrong, paid))()).rejects.toThrow(
      /paid.*amount.*expected a number/,
    );
    await pawl.send('schema', { amount: 3, extra: true } as { amount: number }, paid);
    expect(await handle.getResult()).toEqual({ amount: 3 });
  });

  test.each(['', 'x'.repeat(256), 'a\0b'])('have no topic %j', async (topic) => {
    await startReceiver('names', 'topic', 0);
    await expect(pawl.send('names', 1, topic)).rejects.toThrow(ValidationError);
    await expect(workflow(async () => pawl.recv(topic, 0))()).rejects.toThrow(ValidationError);
    await expect(pawl.send('names', 1, 'topic', { idempotencyKey: '' })).rejects.toThrow(ValidationError);
    expect(() => defineTopic(topic)).toThrow(ValidationError);
    expect(await pawl.listMessages('names')).toEqual([]);
  });

  test('and a timeout race deterministically', async () => {
    const racing = workflow(async () => {
      const first = await Promise.race([pawl.recv<string>('topic', 600), pawl.sleep(30).then(() => 'slept')]);
      await pawl.runStep(() => 1);
      return first;
    });
    const slept = await pawl.startWorkflow(racing)();
    expect(await slept.getResult()).toBe('slept');
    expect(await (await pawl.forkWorkflow(slept.workflowID, 3)).getResult()).toBe('slept');
  });

  if (driver.server) {
    test('between processes arrive in order, at once', async () => {
      const schema = driver.freshSchema();
      const [a, b] = [driver.create({ schema }), driver.create({ schema })];
      const reading = a.registerWorkflow(
        async () => {
          const received: unknown[] = [];
          for (let i = 0; i < 20; i++) received.push(await a.recv('topic', 20));
          return received;
        },
        { name: 'reading' },
      );
      await Promise.all([a.launch(), b.launch()]);
      const handle = await a.startWorkflow(reading, { workflowID: 'reading' })();
      const begun = performance.now();
      for (let i = 0; i < 20; i++) await b.send('reading', i, 'topic');
      expect(await handle.getResult()).toEqual(Array.from({ length: 20 }, (_, i) => i));
      expect(performance.now() - begun).toBeLessThan(5000); // not one tick of 500 ms for each
    });
  }
});
