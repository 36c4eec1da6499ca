// What can be registered, and what a schema makes of an input.
import { ConfigurationError, NotRegisteredError, type Pawl, ValidationError } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';

/** A Standard Schema of a few lines: an order with a quantity that may come as text. */
function order(options: { later?: boolean } = {}) {
  interface Order {
    sku: string;
    quantity: number;
  }
  const judge = (value: unknown) => {
    const { sku, quantity = 1 } = (value ?? {}) as { sku?: unknown; quantity?: unknown };
    if (typeof sku !== 'string') return { issues: [{ message: 'expected a string', path: ['sku'] }] };
    if (Number.isNaN(Number(quantity)))
      return { issues: [{ message: 'expected a number', path: [{ key: 'quantity' }] }] };
    return { value: { sku, quantity: Number(quantity) } };
  };
  return {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: unknown) =>
        options.later ? Promise.resolve().then(() => judge(value)) : judge(value),
      types: undefined as { input: { sku: string; quantity?: number | string }; output: Order } | undefined,
    },
  };
}

describeEachDriver('registering a workflow', (driver) => {
  let pawl: Pawl;

  beforeAll(async () => {
    pawl = await driver.launch();
  });

  test('names it after its function, or as the options say; the result is called and named so', async () => {
    const byFunction = pawl.registerWorkflow(async function checkout(n: number) {
      return n + 1;
    });
    const byOption = pawl.registerWorkflow(async (n: number) => n + 2, { name: 'refund' });
    expect([byFunction.workflowName, byFunction.name, byOption.workflowName]).toEqual([
      'checkout',
      'checkout',
      'refund',
    ]);
    expect([await byFunction(1), await byOption(1)]).toEqual([2, 3]);
    expect(await (await pawl.startWorkflow<number>('refund')(1)).getResult()).toBe(3);
  });

  test.each<[string, () => unknown]>([
    ['no name', () => pawl.registerWorkflow(async () => 1)],
    ['an empty name', () => pawl.registerWorkflow(async () => 1, { name: '' })],
    ['no function', () => pawl.registerWorkflow('checkout' as never)],
    [
      'fewer than no attempts',
      () => pawl.registerWorkflow(async () => 1, { name: 'a', maxRecoveryAttempts: -1 }),
    ],
    ['half an attempt', () => pawl.registerWorkflow(async () => 1, { name: 'b', maxRecoveryAttempts: 0.5 })],
    [
      'a timeout that is none',
      () => pawl.registerWorkflow(async () => 1, { name: 'c', timeout: 'soon' as '1s' }),
    ],
  ])('with %s is an error', (_, register) => {
    expect(register).toThrow(ConfigurationError);
  });

  test('with an option that is misspelt is an error, of steps and transactions too', async () => {
    const wrong = { maxAttemps: 5 } as object;
    const named = { names: 'first' } as object;
    let ran = 0;
    const body = async () => ++ran;
    expect(() => pawl.registerStep(body, wrong)).toThrow('registerStep() has no option "maxAttemps"');
    expect(() => pawl.registerTransaction(body, wrong)).toThrow(/registerTransaction\(\) has no option/);
    await expect(pawl.runStep(body, wrong)).rejects.toThrow(ConfigurationError);
    await expect(pawl.runTransaction(body, wrong)).rejects.toThrow(ConfigurationError);
    const inside = pawl.registerWorkflow(async () => pawl.runStep(body, named), { name: 'misspelling' });
    await expect(inside()).rejects.toThrow('runStep() has no option "names". The options are name, ');
    expect(ran).toBe(0);
    await expect(pawl.listWorkflows({ names: 'misspelling' } as object)).rejects.toThrow(/no option "names"/);
    expect(() => pawl.registerScheduled(inside, undefined as never)).toThrow(ConfigurationError);
    expect(() => pawl.registerScheduled(undefined as never, { crontab: '* * * * *' })).toThrow(
      ConfigurationError,
    );
    await expect(pawl.debounce(inside, undefined as never)()).rejects.toThrow(ConfigurationError);
  });

  test.each(['x'.repeat(256), 'a\0b', 'a\ud83d'])('under the name %j is an error', (name) => {
    expect(() => pawl.registerWorkflow(async () => 1, { name })).toThrow(ValidationError);
  });

  test('under a name that is taken is an error, and the first one stays', async () => {
    const first = pawl.registerWorkflow(async () => 'first', { name: 'taken' });
    expect(() => pawl.registerWorkflow(async () => 'second', { name: 'taken' })).toThrow(ConfigurationError);
    expect(await first()).toBe('first');
  });

  test('before and after launch makes it run; what was waiting for it goes on', async () => {
    const schema = driver.freshSchema();
    const first = driver.create({ schema });
    first.registerWorkflow(async () => first.recv('go', 600), { name: 'known later' });
    await first.launch();
    await first.startWorkflow('known later', { workflowID: 'known-later' })();
    await first.send('known-later', 'hello', 'go');
    await first.shutdown({ graceSeconds: 0 });
    const second = await driver.launch({ schema, versioning: 'patch' });
    const handle = second.retrieveWorkflow('known-later');
    expect(['PENDING', 'SUCCESS']).toContain((await handle.getStatus())?.status);
    second.registerWorkflow(async () => second.recv('go', 600), { name: 'known later' });
    expect(await handle.getResult()).toBe('hello');
  });

  test('is needed to start it: an unknown name is a NotRegisteredError', async () => {
    await expect(pawl.startWorkflow('chekcout')()).rejects.toThrow(NotRegisteredError);
    await expect(pawl.startWorkflow('chekcout')()).rejects.toMatchObject({ missing: 'chekcout' });
    const plain = (async () => 1) as never;
    await expect(pawl.startWorkflow(plain)()).rejects.toThrow(NotRegisteredError);
  });

  test.each([false, true])(
    'with a schema checks the input, and stores what the schema makes of it (later: %s)',
    async (later) => {
      const seen: unknown[] = [];
      const buy = pawl.registerWorkflow(
        async (input) => {
          seen.push(input);
          return input.quantity + 1;
        },
        { name: `buy ${later}`, input: order({ later }) },
      );
      expect(await buy({ sku: 'pen', quantity: '2' })).toBe(3);
      const handle = await pawl.startWorkflow(buy)({ sku: 'pen', extra: true } as { sku: string });
      expect(await handle.getResult()).toBe(2);
      expect(seen).toEqual([
        { sku: 'pen', quantity: 2 },
        { sku: 'pen', quantity: 1 },
      ]);
      expect((await handle.getStatus())?.input).toEqual([{ sku: 'pen', quantity: 1 }]);
    },
  );

  test.each([false, true])(
    'with a schema refuses what does not fit, says where, and writes nothing (later: %s)',
    async (later) => {
      const sell = pawl.registerWorkflow(async (input) => input.quantity, {
        name: `sell ${later}`,
        input: order({ later }),
      });
      const wrong = pawl.startWorkflow(sell, { workflowID: `wrong-${later}` })({
        sku: 7 as unknown as string,
      });
      await expect(wrong).rejects.toThrow(ValidationError);
      await expect(wrong).rejects.toMatchObject({
        message: expect.stringMatching(/sell.*sku.*expected a string/),
        issues: [{ message: 'expected a string', path: ['sku'] }],
      });
      await expect(sell({ sku: 'a', quantity: 'many' })).rejects.toThrow(/quantity/);
      await expect(sell(undefined as never)).rejects.toThrow(ValidationError);
      expect(await pawl.getWorkflowStatus(`wrong-${later}`)).toBeNull();
      expect((await pawl.listWorkflows({ name: sell.workflowName })).workflows).toEqual([]);
    },
  );

  test.each([false, true])(
    'with a schema checks children too, deterministically (later: %s)',
    async (later) => {
      const lend = pawl.registerWorkflow(async (input) => input.quantity, {
        name: `lend ${later}`,
        input: order({ later }),
      });
      const parent = pawl.registerWorkflow(
        async () => {
          const [wrong, right] = await Promise.allSettled([
            lend({ sku: 7 as unknown as string }),
            lend({ sku: 'book', quantity: '3' }),
          ]);
          return [
            wrong.status === 'rejected' && wrong.reason instanceof ValidationError,
            right.status === 'fulfilled' && right.value,
          ];
        },
        { name: `lender ${later}` },
      );
      const handle = await pawl.startWorkflow(parent)();
      expect(await handle.getResult()).toEqual([true, 3]);
      const steps = await pawl.listWorkflowSteps(handle.workflowID);
      expect(await (await pawl.forkWorkflow(handle.workflowID, steps.length)).getResult()).toEqual([true, 3]);
    },
  );

  test('with a schema does not check again when it is recovered', async () => {
    let checks = 0;
    const schema = order();
    const { validate } = schema['~standard'];
    schema['~standard'].validate = (value) => {
      checks++;
      return validate(value);
    };
    const store = pawl.registerWorkflow(
      async (input) => {
        await pawl.recv('go', 600);
        return input.quantity;
      },
      { name: 'store', input: schema },
    );
    await pawl.startWorkflow(store, { workflowID: 'stored' })({ sku: 'pen', quantity: '4' });
    await pawl.shutdown({ graceSeconds: 0 });
    await pawl.launch();
    await pawl.send('stored', 1, 'go');
    expect(await pawl.retrieveWorkflow('stored').getResult()).toBe(4);
    expect(checks).toBe(1);
  });

  test.each([1.5, Number.NaN, 2 ** 31])(
    'priority %s is an error of the caller, and nothing is written',
    async (priority) => {
      const urgent = pawl.registerWorkflow(async () => 1, { name: `urgent ${priority}` });
      const start = pawl.startWorkflow(urgent, { workflowID: 'urgent', priority });
      await expect(start()).rejects.toThrow(ValidationError);
      expect(await pawl.getWorkflowStatus('urgent')).toBeNull();
    },
  );

  test('attributes that cannot be stored are an error of the caller, and nothing is written', async () => {
    const tagged = pawl.registerWorkflow(async () => 1, { name: 'tagged' });
    const start = (attributes: unknown) =>
      pawl.startWorkflow(tagged, {
        workflowID: 'tagged',
        attributes: attributes as Record<string, string>,
      })();
    for (const wrong of [{ a: 'a\0b' }, { a: 1n }, 'text', [1]]) {
      await expect(start(wrong)).rejects.toMatchObject({ code: expect.stringMatching(/^PAWL_/) });
    }
    expect(await pawl.getWorkflowStatus('tagged')).toBeNull();
    await start({ '': null, 'ü"\\': [{ x: 1.5 }, '\u2028'] });
    expect((await pawl.getWorkflowStatus('tagged'))?.attributes).toEqual({
      '': null,
      'ü"\\': [{ x: 1.5 }, '\u2028'],
    });
  });
});
