// What a step gives back: the same live and replayed, for values and for errors; and what cannot be recorded.
import { type Pawl, SerializationError, type Workflow } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';

class Money {
  readonly amount: number;
  constructor(amount: number) {
    this.amount = amount;
  }
  get cents() {
    return this.amount * 100;
  }
}

class PaymentError extends Error {
  override name = 'PaymentError';
  readonly code: string;
  readonly details: unknown;
  constructor(message: string, code: string, details: unknown) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

describeEachDriver('the result of a step', (driver) => {
  test('of no function at all: the error says what to write', async () => {
    const pawl = await driver.launch();
    const promise = Promise.resolve(1);
    const forgotten = pawl.registerWorkflow(() => pawl.runStep(promise as never), { name: 'forgotten' });
    await expect(forgotten()).rejects.toMatchObject({
      code: 'PAWL_VALIDATION',
      message: expect.stringContaining('runStep(() =>'),
    });
  });

  let pawl: Pawl;

  beforeAll(async () => {
    pawl = driver.create();
    pawl.registerError(PaymentError);
    await pawl.launch();
  });

  let made = 0;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `results${++made}` });

  /** What a step resolves or rejects with: on the first run, and when it is replayed. */
  async function liveAndReplayed(fn: () => unknown): Promise<{ live: Settled; replayed: Settled }> {
    const seen: Settled[] = [];
    const observer = workflow(async () => {
      const [settled] = await Promise.allSettled([pawl.runStep(fn)]);
      seen.push(settled);
    });
    const handle = await pawl.startWorkflow(observer)();
    await handle.getResult();
    await (await pawl.forkWorkflow(handle.workflowID, 1)).getResult();
    expect(seen).toHaveLength(2);
    return { live: seen[0] as Settled, replayed: seen[1] as Settled };
  }
  type Settled = PromiseSettledResult<unknown>;

  const valueOf = (settled: Settled): unknown => (settled.status === 'fulfilled' ? settled.value : settled);
  const reasonOf = (settled: Settled): Record<string, unknown> =>
    settled.status === 'rejected' ? settled.reason : { not: 'rejected' };

  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a number that JSON does not have', [Number.NaN, Number.NEGATIVE_INFINITY, -0]],
    ['a string with NUL and half a character', 'a\0b\ud83d\u2028'],
    ['a Date', new Date(1_700_000_000_123)],
    ['an invalid Date', { at: new Date(Number.NaN) }],
    ['a Map of Sets', new Map([[new Date(0), new Set([1n, 'x'])]])],
    ['bytes', new Uint8Array([0, 1, 255])],
    ['undefined inside', { a: undefined, b: [undefined, 1] }],
    ['keys that look like ours', { $: 1, __proto: 2, $type: 'Date', constructor: 3 }],
    ['a long text', 'é'.repeat(200_000)],
  ])('is the same live and replayed: %s', async (_, value) => {
    const { live, replayed } = await liveAndReplayed(() => value);
    expect(valueOf(live)).toEqual(value);
    expect(valueOf(replayed)).toEqual(value);
  });

  test('is plain data where an instance was returned, live and replayed', async () => {
    const { live, replayed } = await liveAndReplayed(() => ({ price: new Money(3) }));
    for (const settled of [live, replayed]) {
      expect(valueOf(settled)).toEqual({ price: { amount: 3 } });
      expect((valueOf(settled) as { price: unknown }).price).not.toBeInstanceOf(Money);
    }
  });

  test('is recorded as it was, whatever the workflow does to it', async () => {
    const source = { list: [1] };
    const mutating = workflow(async () => {
      const value = await pawl.runStep(() => source);
      value.list.push(2);
      source.list.push(3);
      return value;
    });
    const handle = await pawl.startWorkflow(mutating)();
    expect(await handle.getResult()).toEqual({ list: [1, 2] });
    expect(await pawl.listWorkflowSteps(handle.workflowID)).toMatchObject([{ output: { list: [1] } }]);
    expect(await (await pawl.forkWorkflow(handle.workflowID, 1)).getResult()).toEqual({ list: [1, 2] });
  });

  test('of the workflow is the same for every handle, and nobody sees the other mutate it', async () => {
    const plain = workflow(async () => ({ price: new Money(3), list: [1] }));
    const handle = await pawl.startWorkflow(plain)();
    const first = (await handle.getResult()) as { list: number[] };
    first.list.push(2);
    const second = await pawl.retrieveWorkflow(handle.workflowID).getResult();
    expect(second).toEqual({ price: { amount: 3 }, list: [1] });
    expect((await handle.getResult()).price).not.toBeInstanceOf(Money);
  });

  test('arguments of a workflow are what recovery would see, live too', async () => {
    const seen: unknown[] = [];
    const taking = workflow(async (...args: unknown[]) => {
      seen.push(args);
    });
    const money = new Money(3);
    const options = { list: [1] };
    const handle = await pawl.startWorkflow(taking)(money, undefined, options, new Date(5));
    options.list.push(2);
    await handle.getResult();
    await (await pawl.forkWorkflow(handle.workflowID, 0)).getResult();
    const expected = [{ amount: 3 }, undefined, { list: [1] }, new Date(5)];
    expect(seen).toEqual([expected, expected]);
    expect((seen[0] as unknown[])[0]).not.toBeInstanceOf(Money);
  });

  test('as an error has name, message, stack, cause and own properties, and its class', async () => {
    const { live, replayed } = await liveAndReplayed(() => {
      const cause = new RangeError('too far', { cause: 'the root' });
      const error = new PaymentError('declined', 'card_declined', { at: new Date(7), tries: [1, 2] });
      error.cause = cause;
      throw error;
    });
    for (const settled of [live, replayed]) {
      const error = reasonOf(settled);
      expect(error).toBeInstanceOf(PaymentError);
      expect(error).toMatchObject({
        name: 'PaymentError',
        message: 'declined',
        code: 'card_declined',
        details: { at: new Date(7), tries: [1, 2] },
      });
      expect(error['stack']).toContain('step-results.test');
      expect(error['cause']).toBeInstanceOf(RangeError);
      expect((error['cause'] as Error).cause).toBe('the root');
    }
  });

  test.each<[string, () => unknown, abstract new (...args: never[]) => unknown]>([
    ['TypeError', () => new TypeError('t'), TypeError],
    ['SyntaxError', () => new SyntaxError('s'), SyntaxError],
    ['AggregateError', () => new AggregateError([new RangeError('r')], 'many'), AggregateError],
    ['DOMException', () => new DOMException('gone', 'AbortError'), DOMException],
    ['an error of Pawl', () => new SerializationError('$', 'no'), SerializationError],
  ])('as %s keeps its class', async (_, make, errorClass) => {
    const { live, replayed } = await liveAndReplayed(() => Promise.reject(make()));
    for (const settled of [live, replayed]) expect(reasonOf(settled)).toBeInstanceOf(errorClass);
  });

  test('as an error of a class that is not registered is an Error of that name', async () => {
    class UnknownHereError extends Error {
      override name = 'UnknownHereError';
      readonly extra = 1;
    }
    const { live, replayed } = await liveAndReplayed(() => Promise.reject(new UnknownHereError('what')));
    for (const settled of [live, replayed]) {
      expect(reasonOf(settled)).toBeInstanceOf(Error);
      expect(reasonOf(settled)).not.toBeInstanceOf(UnknownHereError);
      expect(reasonOf(settled)).toMatchObject({ name: 'UnknownHereError', message: 'what', extra: 1 });
    }
  });

  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a string', 'just words'],
    ['a number', 0],
    ['an object', { status: 500, at: new Date(0) }],
  ])('thrown as %s, which is no error, comes back as it was', async (_, thrown) => {
    const throwing = () => {
      throw thrown as Error;
    };
    const { live, replayed } = await liveAndReplayed(throwing);
    expect(live).toEqual({ status: 'rejected', reason: thrown });
    expect(replayed).toEqual({ status: 'rejected', reason: thrown });
    const failing = workflow(async () => throwing());
    const handle = await pawl.startWorkflow(failing)();
    const [outcome] = await Promise.allSettled([handle.getResult()]);
    expect(outcome).toEqual({ status: 'rejected', reason: thrown });
    expect((await handle.getStatus())?.status).toBe('ERROR');
  });

  const cycle: Record<string, unknown> = { name: 'cycle' };
  cycle['self'] = { again: cycle };
  test.each<[string, () => unknown, string]>([
    ['a function', () => ({ items: [{ callback() {} }] }), '$.items[0].callback'],
    ['a symbol', () => [Symbol('s')], '$[0]'],
    ['a cycle', () => cycle, '$.self.again'],
    ['a promise inside', () => ({ later: Promise.resolve(1) }), '$.later'],
  ])('that is %s ends the step with SerializationError at its path', async (_, make, path) => {
    const { live, replayed } = await liveAndReplayed(make);
    for (const settled of [live, replayed]) {
      expect(reasonOf(settled)).toBeInstanceOf(SerializationError);
      expect(reasonOf(settled)).toMatchObject({ path });
    }
    const returning = workflow(async () => make());
    const handle = await pawl.startWorkflow(returning)();
    await expect(handle.getResult()).rejects.toThrow(SerializationError);
    expect((await handle.getStatus())?.status).toBe('ERROR');
  });

  test('that is poison harms nobody who is written with it', async () => {
    const healthy = workflow(async (n: number) => pawl.runStep(() => n));
    const poisoned = workflow(async () => pawl.runStep(() => ({ fn: () => {} })));
    const all = await Promise.allSettled(
      Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? poisoned() : healthy(i))),
    );
    for (const [i, settled] of all.entries()) {
      if (i % 3 === 0) expect(reasonOf(settled)).toBeInstanceOf(SerializationError);
      else expect(valueOf(settled)).toBe(i);
    }
  });

  test('that the database itself refuses is an error of that workflow alone', async () => {
    const healthy = workflow(async (n: number) => pawl.runStep(() => n));
    const attributes = { attributes: { bad: 'a\0b' } };
    const all = await Promise.allSettled([
      ...Array.from({ length: 10 }, (_, i) => healthy(i)),
      pawl.startWorkflow(healthy, { workflowID: 'refused', ...attributes })(1),
      ...Array.from({ length: 10 }, (_, i) => healthy(i)),
    ]);
    expect(all.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    expect(all[10]?.status).toBe('rejected');
    expect(await pawl.getWorkflowStatus('refused')).toBeNull();
  });
});
