// setEvent and getEvent: the last value wins, and whoever asks early waits.
import { defineEvent, type Pawl, ValidationError, type Workflow } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';

describeEachDriver('an event', (driver) => {
  let pawl: Pawl;

  beforeAll(async () => {
    pawl = await driver.launch();
  });

  let made = 0;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `events${++made}` });
  /** Waits in a workflow as in any other place. */
  const inWorkflow = <R>(call: () => Promise<R>) => workflow(call)();

  /** Resolves when those who wait outside have looked, and so many workflows have and wait. */
  async function awaited(workflowID: string, inside: number): Promise<void> {
    const { database, runtime } = internals(pawl);
    // In the turn in which the others began to wait, so that the database is asked for all at once.
    await runtime.event(workflowID, 'key').looked;
    const waits = `SELECT 1 FROM pawl.step WHERE target = $1 AND kind = 'getEvent' AND completed_at IS NULL`;
    await expect
      .poll(async () => (await database.query(waits, [workflowID])).rows, { interval: 5 })
      .toHaveLength(inside);
  }

  test('has its value for readers inside and outside, while it runs and after', async () => {
    const setting = workflow(async () => {
      await pawl.setEvent('progress', { at: new Date(7), done: 1n });
      await pawl.recv('end', 600);
    });
    const handle = await pawl.startWorkflow(setting, { workflowID: 'set' })();
    const read = () => pawl.getEvent('set', 'progress', 5);
    const value = { at: new Date(7), done: 1n };
    expect(await read()).toEqual(value);
    expect(await inWorkflow(read)).toEqual(value);
    await pawl.send('set', 1, 'end');
    await handle.getResult();
    expect(await read()).toEqual(value);
    expect(await inWorkflow(read)).toEqual(value);
  });

  test('has its last value; every one is listed in order', async () => {
    const setting = workflow(async () => {
      for (const value of ['a', 'b', 'b', 'c']) await pawl.setEvent('key', value);
      await pawl.setEvent('other', null);
    });
    await (await pawl.startWorkflow(setting, { workflowID: 'updated' })()).getResult();
    expect(await pawl.getEvent('updated', 'key')).toBe('c');
    const listed = await pawl.listEvents('updated');
    expect(listed.map(({ key, value }) => [key, value])).toEqual([
      ['key', 'a'],
      ['key', 'b'],
      ['key', 'b'],
      ['key', 'c'],
      ['other', null],
    ]);
  });

  test('set many times at once has the value that was set last', async () => {
    const setting = workflow(async () => {
      await Promise.all(Array.from({ length: 50 }, (_, i) => pawl.setEvent('key', i)));
    });
    await (await pawl.startWorkflow(setting, { workflowID: 'at-once' })()).getResult();
    expect(await pawl.getEvent('at-once', 'key')).toBe(49);
    expect((await pawl.listEvents('at-once')).map(({ value }) => value)).toEqual(
      Array.from({ length: 50 }, (_, i) => i),
    );
  });

  test('that may be set once refuses a second value, in turn and at once, also on replay', async () => {
    const outcomes: string[][] = [];
    const setting = workflow(async () => {
      const set = (key: string) => pawl.setEvent(key, 1, { once: true });
      await pawl.setEvent('before', 0);
      const settled = [
        ...(await Promise.allSettled([set('a')])),
        ...(await Promise.allSettled([set('a')])),
        ...(await Promise.allSettled([set('b'), set('b')])),
        ...(await Promise.allSettled([set('before')])),
      ];
      outcomes.push(settled.map(({ status }) => status));
    });
    const handle = await pawl.startWorkflow(setting)();
    await handle.getResult();
    await (await pawl.forkWorkflow(handle.workflowID, 100)).getResult();
    const expected = ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'rejected'];
    expect(outcomes).toEqual([expected, expected]);
  });

  test('is waited for, by many, before it is set', async () => {
    const setting = workflow(async () => {
      await pawl.recv('go', 600);
      await pawl.setEvent('key', 'value');
    });
    await pawl.startWorkflow(setting, { workflowID: 'later' })();
    const read = () => pawl.getEvent('later', 'key', 30);
    const readers = Promise.all([read(), read(), inWorkflow(read), inWorkflow(read)]);
    await awaited('later', 2);
    await pawl.send('later', 1, 'go');
    expect(await readers).toEqual(['value', 'value', 'value', 'value']);
  });

  test('of a workflow that nobody started yet is waited for too', async () => {
    const setting = workflow(async () => pawl.setEvent('key', 'value'));
    const read = () => pawl.getEvent('unborn', 'key', 30);
    const readers = Promise.all([read(), inWorkflow(read)]);
    await awaited('unborn', 1);
    const handle = await pawl.startWorkflow(setting, { workflowID: 'unborn' })();
    await handle.getResult();
    expect(await readers).toEqual(['value', 'value']);
    expect((await handle.getStatus())?.status).toBe('SUCCESS');
  });

  test('that does not come is null after the time', async () => {
    const read = (seconds: number) => pawl.getEvent('nobody', 'key', seconds);
    const begun = performance.now();
    expect(await Promise.all([read(0.1), inWorkflow(() => read(0.1))])).toEqual([null, null]);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(99);
    expect(await Promise.all([read(0), inWorkflow(() => read(0))])).toEqual([null, null]);
    expect(await pawl.getWorkflowStatus('nobody')).toBeNull();
  });

  test('that is there is not missed by a reader without patience', async () => {
    await (
      await pawl.startWorkflow(
        workflow(async () => pawl.setEvent('key', 7)),
        {
          workflowID: 'there',
        },
      )()
    ).getResult();
    const read = () => pawl.getEvent('there', 'key', 0);
    expect(await Promise.all([read(), inWorkflow(read)])).toEqual([7, 7]);
  });

  test('that is undefined is not confused with one that does not come', async () => {
    const setting = workflow(async () => pawl.setEvent('key', undefined));
    await (await pawl.startWorkflow(setting, { workflowID: 'undefined' })()).getResult();
    const read = () => pawl.getEvent('undefined', 'key', 5);
    expect(await Promise.all([read(), inWorkflow(read)])).toEqual([undefined, undefined]);
  });

  test('read in a workflow is recorded: a replay sees the value of then', async () => {
    const setting = workflow(async () => {
      await pawl.setEvent('key', 'first');
      await pawl.recv('go', 600);
      await pawl.setEvent('key', 'second');
    });
    const writer = await pawl.startWorkflow(setting, { workflowID: 'rewritten' })();
    const reading = workflow(async () => pawl.getEvent('rewritten', 'key'));
    const reader = await pawl.startWorkflow(reading)();
    expect(await reader.getResult()).toBe('first');
    await pawl.send('rewritten', 1, 'go');
    await writer.getResult();
    expect(await pawl.getEvent('rewritten', 'key')).toBe('second');
    expect(await (await pawl.forkWorkflow(reader.workflowID, 1)).getResult()).toBe('first');
  });

  test('of its own is there for the workflow itself', async () => {
    const own = workflow(async () => {
      await pawl.setEvent('key', 1);
      return pawl.getEvent(pawl.workflowID ?? '', 'key');
    });
    const handle = await pawl.startWorkflow(own)();
    expect(await handle.getResult()).toBe(1);
    expect(await (await pawl.forkWorkflow(handle.workflowID, 2)).getResult()).toBe(1);
  });

  test('with a schema is checked where it is set', async () => {
    const percent = defineEvent<number>('percent', {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) =>
          typeof value === 'number' && value <= 100
            ? { value: Math.round(value) }
            : { issues: [{ message: 'expected a percentage' }] },
      },
    });
    const setting = workflow(async (value: number) => pawl.setEvent(percent, value));
    await (await pawl.startWorkflow(setting, { workflowID: 'valid' })(41.6)).getResult();
    expect(await pawl.getEvent('valid', percent)).toBe(42);
    await expect(setting(101)).rejects.toThrow(ValidationError);
    await expect(setting(101)).rejects.toThrow(/percent.*expected a percentage/);
  });

  test.each(['', 'x'.repeat(256), 'a\0b'])('cannot be called %j', async (key) => {
    await expect(inWorkflow(() => pawl.setEvent(key, 1))).rejects.toThrow(ValidationError);
    await expect(pawl.getEvent('x', key, 0)).rejects.toThrow(ValidationError);
    expect(() => defineEvent(key)).toThrow(ValidationError);
  });

  test.each([-1, Number.NaN, '5' as unknown as number])('is not waited for %s seconds', async (seconds) => {
    const wrong = { name: expect.stringMatching(/^(Validation|Configuration)Error$/) };
    await expect(pawl.getEvent('x', 'key', seconds)).rejects.toMatchObject(wrong);
    await expect(inWorkflow(() => pawl.getEvent('x', 'key', seconds))).rejects.toMatchObject(wrong);
  });
});
