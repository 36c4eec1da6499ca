// writeStream, closeStream and readStream in one process: order, offsets, ends, and what does not fit.
import { NonExistentWorkflowError, type Pawl, StreamClosedError, type Workflow } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { becomes } from '../http/telling.ts';

describeEachDriver('a stream', (driver) => {
  let pawl: Pawl;
  let made = 0;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `streams${++made}` });
  const start = async <R>(body: () => Promise<R>, workflowID = `s${++made}`) =>
    pawl.startWorkflow(workflow(body), { workflowID })();

  /** All that a reader is given. */
  async function all(id: string, key = 'key', offset?: number): Promise<unknown[]> {
    const values: unknown[] = [];
    for await (const value of pawl.readStream(id, key, offset === undefined ? {} : { offset }))
      values.push(value);
    return values;
  }
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
  const writeUpTo = async (count: number, key = 'key'): Promise<void> => {
    for (let n = 0; n < count; n++) await pawl.writeStream(key, n);
  };

  beforeAll(async () => {
    pawl = await driver.launch();
  });

  test('is read while it is written and after, from any offset, by any number of readers', async () => {
    const { workflowID, getResult } = await start(async () => {
      await writeUpTo(3);
      await pawl.recv('go', 600);
      await pawl.writeStream('other', 'else');
      for (let n = 3; n < 6; n++) await pawl.writeStream('key', n);
      return 'done';
    });
    const readers = [all(workflowID), all(workflowID), all(workflowID, 'key', 2), all(workflowID, 'other')];
    const late = all(workflowID, 'key', 5);
    const beyond = all(workflowID, 'key', 99);
    await pawl.send(workflowID, 1, 'go');
    expect(await Promise.all(readers)).toEqual([upTo(6), upTo(6), [2, 3, 4, 5], ['else']]);
    expect([await late, await beyond]).toEqual([[5], []]);
    await getResult();
    expect(await all(workflowID)).toEqual(upTo(6));
    expect(await all(workflowID, 'key', 4)).toEqual([4, 5]);
    expect(await all(workflowID, 'none')).toEqual([]);
  });

  test('has what was written at once in the order of the calls, without a gap', async () => {
    const { workflowID, getResult } = await start(async () => {
      await Promise.all(
        upTo(40).map(async (n) => {
          await pawl.writeStream(n % 2 === 0 ? 'even' : 'odd', n);
        }),
      );
    });
    await getResult();
    expect(await all(workflowID, 'even')).toEqual(upTo(20).map((n) => n * 2));
    expect(await all(workflowID, 'odd', 3)).toEqual(upTo(17).map((n) => n * 2 + 7));
  });

  test('keeps every kind of value', async () => {
    const values = [
      undefined,
      null,
      new Date(7),
      new Map([['a', 1n]]),
      '',
      { nested: [undefined] },
      new Error('no'),
    ];
    const { workflowID } = await start(async () => {
      for (const value of values) await pawl.writeStream('key', value);
    });
    expect(await all(workflowID)).toEqual(values);
    const inside = workflow(() => all(workflowID));
    expect(await inside()).toEqual(values);
  });

  test('refuses what cannot be stored, and goes on', async () => {
    const { workflowID } = await start(async () => {
      await pawl.writeStream('key', 1);
      await pawl.writeStream('key', () => {}).catch(() => {});
      await pawl.writeStream('key', 2);
    });
    expect(await all(workflowID)).toEqual([1, 2]);
  });

  test.each(['SUCCESS', 'ERROR', 'CANCELLED'])('ends with its workflow: %s', async (status) => {
    const { workflowID, getResult, cancel } = await start(async () => {
      await writeUpTo(2);
      if (status === 'CANCELLED') await pawl.sleep('1h');
      if (status === 'ERROR') throw new Error('as asked');
    });
    const reader = pawl.readStream(workflowID, 'key')[Symbol.asyncIterator]();
    expect([await reader.next(), await reader.next()].map(({ value }) => value)).toEqual([0, 1]);
    const end = reader.next();
    if (status === 'CANCELLED') await cancel();
    expect(await end).toEqual({ done: true, value: undefined });
    await getResult().catch(() => {});
    expect(await all(workflowID)).toEqual([0, 1]);
    expect((await pawl.getWorkflowStatus(workflowID))?.status).toBe(status);
  });

  test('that is closed ends while its workflow goes on, wherever its readers are', async () => {
    const { workflowID } = await start(async () => {
      await writeUpTo(2);
      await pawl.recv('close', 600);
      await pawl.closeStream('key');
      await pawl.recv('end', 600);
    });
    const readers = [all(workflowID), all(workflowID, 'key', 2), all(workflowID, 'key', 50)];
    await pawl.send(workflowID, 1, 'close');
    expect(await Promise.all(readers)).toEqual([[0, 1], [], []]);
    expect(await all(workflowID, 'key', 1)).toEqual([1]);
    expect((await pawl.getWorkflowStatus(workflowID))?.status).toBe('PENDING');
    await pawl.send(workflowID, 1, 'end');
  });

  test('takes nothing behind its end, in turn and at once, also on replay; closing twice is closing', async () => {
    const outcomes: unknown[] = [];
    const { workflowID, getResult } = await start(async () => {
      await pawl.writeStream('key', 1);
      await pawl.closeStream('key');
      await pawl.closeStream('key');
      const settled = [
        ...(await Promise.allSettled([pawl.writeStream('key', 2)])),
        ...(await Promise.allSettled([
          pawl.writeStream('at once', 1),
          pawl.closeStream('at once'),
          pawl.writeStream('at once', 2),
          pawl.closeStream('at once'),
          pawl.writeStream('open', 3),
        ])),
      ];
      outcomes.push(
        settled.map((each) =>
          each.status === 'rejected' && each.reason instanceof StreamClosedError
            ? each.reason.key
            : each.status,
        ),
      );
    });
    await getResult();
    const fork = await pawl.forkWorkflow(workflowID, 100);
    await fork.getResult();
    const expected = ['key', 'fulfilled', 'fulfilled', 'at once', 'fulfilled', 'fulfilled'];
    expect(outcomes).toEqual([expected, expected]);
    expect(await all(workflowID)).toEqual([1]);
    expect(await all(workflowID, 'at once')).toEqual([1]);
    expect(await all(fork.workflowID, 'open')).toEqual([3]);
    const steps = await pawl.listWorkflowSteps(workflowID);
    expect(steps.slice(0, 3).map(({ kind, name }) => [kind, name])).toEqual([
      ['writeStream', 'key'],
      ['closeStream', 'key'],
      ['closeStream', 'key'],
    ]);
    expect(steps[3]?.error).toMatchObject({ code: 'PAWL_STREAM_CLOSED', workflowID });
  });

  test('goes on after a resume, behind what was written before', async () => {
    const { workflowID, cancel } = await start(async () => {
      await writeUpTo(2);
      await pawl.recv('go', 600);
      for (let n = 2; n < 4; n++) await pawl.writeStream('key', n);
    });
    const before = all(workflowID);
    await becomes(async () => (await pawl.listWorkflowSteps(workflowID)).length === 3);
    await cancel();
    expect(await before).toEqual([0, 1]);
    await pawl.send(workflowID, 1, 'go');
    await pawl.resumeWorkflow(workflowID);
    expect(await all(workflowID, 'key', 2)).toEqual([2, 3]);
    expect(await all(workflowID)).toEqual(upTo(4));
  });

  test('of a fork has the values of the steps that it took over, and its own behind them', async () => {
    let run = 0;
    const { workflowID, getResult } = await start(async () => {
      const mine = ++run;
      await writeUpTo(3);
      await pawl.closeStream('early');
      await pawl.writeStream('key', `last of ${mine}`);
      await pawl.closeStream('key');
    });
    await getResult();
    const early = await pawl.forkWorkflow(workflowID, 2);
    const late = await pawl.forkWorkflow(workflowID, 4);
    expect(await all(early.workflowID)).toEqual([0, 1, 2, expect.stringMatching(/^last of [23]$/)]);
    expect(await all(late.workflowID)).toEqual([0, 1, 2, expect.stringMatching(/^last of [23]$/)]);
    expect(await all(workflowID)).toEqual([0, 1, 2, 'last of 1']);
    await Promise.all([early.getResult(), late.getResult()]);
  });

  test('that is written fast is given whole, in order', async () => {
    const { workflowID } = await start(async () => {
      for (let n = 0; n < 1_000; n += 100)
        await Promise.all(upTo(100).map((m) => pawl.writeStream('key', n + m)));
    });
    expect(await Promise.all([all(workflowID), all(workflowID, 'key', 990)])).toEqual([
      upTo(1_000),
      upTo(1_000).slice(990),
    ]);
  });

  test('is waited for where nobody has started its workflow', async () => {
    const id = `unborn${++made}`;
    const reader = all(id);
    const { runtime } = internals(pawl);
    await becomes(() => runtime.waiting > 0);
    await start(() => writeUpTo(2), id);
    expect(await reader).toEqual([0, 1]);
  });

  test('lets go of everything when its reader leaves, also one that waits', async () => {
    const { runtime } = internals(pawl);
    const { workflowID, cancel } = await start(async () => {
      await writeUpTo(5);
      await pawl.sleep('1h');
    });
    const before = runtime.waiting;
    for await (const value of pawl.readStream(workflowID, 'key')) {
      expect(runtime.waiting).toBe(before + 1);
      if (value === 2) break;
    }
    expect(runtime.waiting).toBe(before);
    const reader = pawl.readStream(workflowID, 'key', { offset: 5 })[Symbol.asyncIterator]();
    const next = reader.next();
    await becomes(() => runtime.waiting === before + 1);
    await reader.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await reader.next()).toEqual({ done: true, value: undefined });
    expect(runtime.waiting).toBe(before);
    await cancel();
  });

  test('that is deleted is an error to a reader, and leaves no rows', async () => {
    const { workflowID } = await start(async () => {
      await writeUpTo(2);
      await pawl.sleep('1h');
    });
    const reader = pawl.readStream(workflowID, 'key')[Symbol.asyncIterator]();
    await reader.next();
    await reader.next();
    const told = expect(reader.next()).rejects.toThrow(NonExistentWorkflowError);
    await pawl.deleteWorkflow(workflowID);
    await told;
    const rows = await driver.sql(`SELECT 1 FROM ${await schemaOf()}.stream WHERE workflow_id = $1`, [
      workflowID,
    ]);
    expect(rows).toEqual([]);
  });

  test('cannot have any key or offset', async () => {
    for (const key of ['', 'a\0b', 'x'.repeat(256), 7 as never])
      expect(() => pawl.readStream('id', key)).toThrow(/stream key/);
    for (const offset of [-1, 1.5, Number.NaN, 2 ** 31, '1' as never])
      expect(() => pawl.readStream('id', 'key', { offset })).toThrow(/offset/);
    expect(() => pawl.readStream('', 'key')).toThrow(/workflow ID/);
    await expect(pawl.writeStream('key', 1)).rejects.toMatchObject({ code: 'PAWL_NOT_IN_WORKFLOW' });
    const { getResult } = await start(async () => {
      const refused = await Promise.allSettled([
        pawl.writeStream('', 1),
        pawl.closeStream('a\0b'),
        pawl.runStep(() => pawl.writeStream('key', 1)),
        pawl.runStep(() => pawl.closeStream('key')),
        pawl.runStep(() => all('id')),
        pawl.runTransaction(() => all('id')),
        pawl.runTransaction(() => pawl.writeStream('key', 1)),
      ]);
      return refused.map((each) => each.status === 'rejected' && (each.reason as { code: string }).code);
    });
    expect(await getResult()).toEqual([
      ...['PAWL_VALIDATION', 'PAWL_VALIDATION'],
      ...Array.from({ length: 5 }, () => 'PAWL_IN_STEP'),
    ]);
  });

  const schemaOf = async (): Promise<string> => internals(pawl).database.schema;
});

describeEachDriver('a reader', (driver) => {
  test('is given 20,000 values in pages', async () => {
    const pawl = driver.create();
    let queries = 0;
    internals(pawl).events.on('statement', ({ text }) => {
      if (/\.stream/.test(text)) queries++;
    });
    const empty = pawl.registerWorkflow(async () => {}, { name: 'empty' });
    await pawl.launch();
    const { workflowID, getResult } = await pawl.startWorkflow(empty)();
    await getResult();
    const count = 20_000;
    await driver.sql(
      `INSERT INTO ${internals(pawl).database.schema}.stream (workflow_id, key, position, step_id, closed, created_at, value)
       SELECT $1, 'key', n - 1, n - 1, false, now(), (n - 1)::text FROM generate_series(1, ${count}) n`,
      [workflowID],
    );
    let n = 10;
    for await (const value of pawl.readStream(workflowID, 'key', { offset: n })) expect(value).toBe(n++);
    expect(n).toBe(count);
    expect(queries).toBeGreaterThan(1);
    expect(queries).toBeLessThanOrEqual(count / 100);
  });

  test('hears when its Pawl shuts down', async () => {
    const pawl = await driver.launch();
    const writing = pawl.registerWorkflow(
      async () => {
        await pawl.writeStream('key', 1);
        await pawl.sleep('1h');
      },
      { name: 'writing' },
    );
    const { workflowID } = await pawl.startWorkflow(writing)();
    const readers = [workflowID, 'nobody'].map(async (id) => {
      for await (const value of pawl.readStream(id, 'key')) void value;
    });
    const outcomes = Promise.allSettled(readers);
    await becomes(() => internals(pawl).runtime.waiting === 2);
    await pawl.shutdown({ graceSeconds: 0 });
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'PAWL_NOT_LAUNCHED' } });
    expect(() => pawl.readStream('id', 'key')).not.toThrow();
    await expect(pawl.readStream('id', 'key')[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'PAWL_NOT_LAUNCHED',
    });
  });
});
