// Transactions: the user's rows and the checkpoint commit together, once; and what may happen inside.
import { MaxStepRetriesError, type Pawl, type SqlClient, type Workflow } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';

describeEachDriver('a transaction', (driver) => {
  let pawl: Pawl;
  let table: string;

  beforeAll(async () => {
    pawl = await driver.launch();
  });
  beforeEach(async () => {
    table = `t_${driver.freshSchema()}`;
    await driver.sql(`CREATE TABLE ${table} (n integer)`);
  });

  let made = 0;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `transactions${++made}` });
  const insert = (tx: SqlClient, n: number) => tx.query(`INSERT INTO ${table} VALUES ($1)`, [n]);
  const rows = async () =>
    (await driver.sql<{ n: number }>(`SELECT n FROM ${table} ORDER BY n`)).map(({ n }) => n);

  test('returns its value, and its rows are there once, also after a replay', async () => {
    const paying = workflow(async (n: number) =>
      pawl.runTransaction(
        async (tx) => {
          await insert(tx, n);
          const { rows: found, rowCount } = await tx.query<{ n: number }>(`SELECT n FROM ${table}`);
          return { found, rowCount, at: new Date(5) };
        },
        { name: 'pay' },
      ),
    );
    const handle = await pawl.startWorkflow(paying)(7);
    const expected = { found: [{ n: 7 }], rowCount: 1, at: new Date(5) };
    expect(await handle.getResult()).toEqual(expected);
    expect(await (await pawl.forkWorkflow(handle.workflowID, 1)).getResult()).toEqual(expected);
    expect(await rows()).toEqual([7]);
    expect(await pawl.listWorkflowSteps(handle.workflowID)).toMatchObject([
      { kind: 'transaction', name: 'pay', output: expected },
    ]);
  });

  test('is not run again after a restart', async () => {
    const paying = workflow(async () => {
      await pawl.runTransaction((tx) => insert(tx, 1));
      return pawl.recv('go', 600);
    });
    await pawl.startWorkflow(paying, { workflowID: 'restarted' })();
    await expect.poll(rows, { interval: 10 }).toEqual([1]);
    await pawl.shutdown({ graceSeconds: 0 });
    await pawl.launch();
    await pawl.send('restarted', 'done', 'go');
    expect(await pawl.retrieveWorkflow('restarted').getResult()).toBe('done');
    expect(await rows()).toEqual([1]);
  });

  test('that throws leaves no rows, and its error is recorded and replayed', async () => {
    let runs = 0;
    const failing = workflow(async () =>
      pawl
        .runTransaction(async (tx) => {
          runs++;
          await insert(tx, 1);
          throw Object.assign(new RangeError('rolled back'), { code: 'MINE' });
        })
        .catch((error: unknown) => error as Error & { code: string }),
    );
    const handle = await pawl.startWorkflow(failing)();
    const live = await handle.getResult();
    for (const error of [live, await (await pawl.forkWorkflow<Error>(handle.workflowID, 1)).getResult()]) {
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toMatchObject({ message: 'rolled back', code: 'MINE' });
    }
    expect(runs).toBe(1);
    expect(await rows()).toEqual([]);
  });

  test('that the database refuses records the error of the database', async () => {
    const failing = workflow(async () =>
      pawl.runTransaction(async (tx) => {
        await insert(tx, 1);
        await tx.query('SELECT * FROM no_such_table');
      }),
    );
    await expect(failing()).rejects.toMatchObject({ code: '42P01' });
    expect(await rows()).toEqual([]);
  });

  test('that swallows an error of the database cannot commit, and says so', async () => {
    const swallowing = workflow(async () =>
      pawl.runTransaction(async (tx) => {
        await insert(tx, 1);
        await tx.query('SELECT * FROM no_such_table').catch(() => {});
        return 'fine';
      }),
    );
    await expect(swallowing()).rejects.toMatchObject({ code: '25P02' });
    const plain = pawl.runTransaction(async (tx) => {
      await insert(tx, 2);
      await tx.query('SELECT * FROM no_such_table').catch(() => {});
      return 'fine';
    });
    await expect(plain).rejects.toMatchObject({ code: '25P02' });
    expect(await rows()).toEqual([]);
  });

  test('may recover from an error of the database with a savepoint', async () => {
    const recovering = async (tx: SqlClient) => {
      await insert(tx, 1);
      await tx.query('SAVEPOINT before');
      await tx.query('SELECT * FROM no_such_table').catch(() => tx.query('ROLLBACK TO SAVEPOINT before'));
      return 'fine';
    };
    expect(await workflow(async () => pawl.runTransaction(recovering))()).toBe('fine');
    expect(await pawl.runTransaction(recovering)).toBe('fine');
    expect(await rows()).toEqual([1, 1]);
  });

  test.each([
    ['a connection that is not the database’s', Object.assign(new Error('down'), { code: 'ECONNREFUSED' })],
    ['a missing file', Object.assign(new Error('no file'), { code: 'ENOENT' })],
    ['a time limit', Object.assign(new Error('canceling statement'), { code: '57014' })],
    ['words that sound like it', new Error('connection terminated by the payment provider')],
  ])('that throws because of %s is not run again', async (_, error) => {
    let runs = 0;
    const failing = async () => {
      runs++;
      throw error;
    };
    await expect(workflow(async () => pawl.runTransaction(failing))()).rejects.toMatchObject({
      message: error.message,
    });
    await expect(pawl.runTransaction(failing)).rejects.toBe(error);
    expect(runs).toBe(2);
  });

  test('that runs into its own statement_timeout ends with that error', async () => {
    const slow = async (tx: SqlClient) => {
      await tx.query(`SET LOCAL statement_timeout = '20ms'`);
      await tx.query('SELECT pg_sleep(5)');
    };
    if (!driver.server) return; // Embedded there is no clock that could interrupt.
    await expect(workflow(async () => pawl.runTransaction(slow))()).rejects.toMatchObject({ code: '57014' });
    await expect(pawl.runTransaction(slow)).rejects.toMatchObject({ code: '57014' });
  });

  test('whose connection is lost is run again', async () => {
    if (!driver.server) return;
    let runs = 0;
    const losing = async (tx: SqlClient) => {
      await insert(tx, ++runs);
      if (runs === 1) {
        const { rows: found } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        await driver.sql('SELECT pg_terminate_backend($1)', [found[0]?.pid]);
        await tx.query('SELECT 1').catch(() => {});
      }
      return runs;
    };
    expect(await workflow(async () => pawl.runTransaction(losing))()).toBe(2);
    expect(await rows()).toEqual([2]);
  });

  test('whose value cannot be stored rolls back', async () => {
    const failing = workflow(async () =>
      pawl.runTransaction(async (tx) => {
        await insert(tx, 1);
        return { fn: () => {} };
      }),
    );
    await expect(failing()).rejects.toMatchObject({ name: 'SerializationError', path: '$.fn' });
    expect(await rows()).toEqual([]);
  });

  test('runs as registered, with arguments, in a workflow and outside', async () => {
    const add = pawl.registerTransaction(
      async (tx, n: number) => {
        await insert(tx, n);
        return n + 1;
      },
      { name: 'add' },
    );
    const adding = workflow(async () => add(1));
    expect(await adding()).toBe(2);
    expect(await add(2)).toBe(3);
    expect(await rows()).toEqual([1, 2]);
  });

  test('outside a workflow commits, rolls back on a throw, and records nothing', async () => {
    expect(await pawl.runTransaction(async (tx) => (await insert(tx, 1)).rowCount)).toBe(1);
    const failing = pawl.runTransaction(async (tx) => {
      await insert(tx, 2);
      throw new RangeError('no');
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect(await rows()).toEqual([1]);
  });

  test('inside a step runs as part of it', async () => {
    const nested = workflow(async () =>
      pawl.runStep(async () => {
        await pawl.runTransaction((tx) => insert(tx, 1));
        return 'done';
      }),
    );
    const handle = await pawl.startWorkflow(nested)();
    expect(await handle.getResult()).toBe('done');
    expect(await rows()).toEqual([1]);
    expect(await pawl.listWorkflowSteps(handle.workflowID)).toHaveLength(1);
  });

  test('inside a transaction is an InStepError', async () => {
    const nested = workflow(async () =>
      pawl.runTransaction(async () => pawl.runTransaction((tx) => insert(tx, 1))),
    );
    await expect(nested()).rejects.toMatchObject({ name: 'InStepError', verb: 'runTransaction' });
  });

  test('that is read-only records its result, and may not write', async () => {
    await driver.sql(`INSERT INTO ${table} VALUES (1)`);
    let runs = 0;
    const reading = workflow(async () =>
      pawl.runTransaction(
        async (tx) => {
          runs++;
          return (await tx.query<{ n: number }>(`SELECT n FROM ${table}`)).rows;
        },
        { readOnly: true, isolationLevel: 'REPEATABLE READ' },
      ),
    );
    const handle = await pawl.startWorkflow(reading)();
    expect(await handle.getResult()).toEqual([{ n: 1 }]);
    await driver.sql(`INSERT INTO ${table} VALUES (2)`);
    expect(await (await pawl.forkWorkflow(handle.workflowID, 1)).getResult()).toEqual([{ n: 1 }]);
    expect(runs).toBe(1);
    const writing = workflow(async () => pawl.runTransaction((tx) => insert(tx, 3), { readOnly: true }));
    await expect(writing()).rejects.toMatchObject({ code: '25006' });
  });

  test.each(['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'] as const)(
    'has the isolation level that it asks for: %s',
    async (isolationLevel) => {
      const level = async (tx: SqlClient) =>
        (await tx.query<{ level: string }>(`SELECT current_setting('transaction_isolation') AS level`))
          .rows[0]?.level;
      const looking = workflow(async () => pawl.runTransaction(level, { isolationLevel }));
      expect(await looking()).toBe(isolationLevel.toLowerCase());
      expect(await pawl.runTransaction(level, { isolationLevel })).toBe(isolationLevel.toLowerCase());
    },
  );

  test('cannot be used once it has ended', async () => {
    let kept: SqlClient | undefined;
    await pawl.runTransaction(async (tx) => {
      kept = tx;
    });
    await expect(kept?.query(`INSERT INTO ${table} VALUES (9)`)).rejects.toThrow(Error);
    expect(await rows()).toEqual([]);
  });

  test('that conflicts is run again, in a workflow and outside', async () => {
    if (!driver.server) return; // Embedded there is one connection: nobody to conflict with.
    await driver.sql(`INSERT INTO ${table} VALUES (0)`);
    let attempts = 0;
    let reads = 0;
    let meet = () => {};
    const met = new Promise<void>((resolve) => (meet = resolve));
    const increment = async (tx: SqlClient) => {
      attempts++;
      const { rows: found } = await tx.query<{ n: number }>(`SELECT n FROM ${table}`);
      // Two have read the same before one writes.
      if (++reads === 2) meet();
      await met;
      await tx.query(`UPDATE ${table} SET n = $1`, [(found[0]?.n ?? 0) + 1]);
    };
    const serializable = { isolationLevel: 'SERIALIZABLE' } as const;
    const incrementing = workflow(async () => pawl.runTransaction(increment, serializable));
    await Promise.all([
      ...Array.from({ length: 4 }, () => incrementing()),
      ...Array.from({ length: 4 }, () => pawl.runTransaction(increment, serializable)),
    ]);
    expect(await rows()).toEqual([8]);
    expect(attempts).toBeGreaterThan(8);
  });

  test('that always conflicts ends with an error instead of going on for ever', async () => {
    const conflict = () => Promise.reject(Object.assign(new Error('conflict'), { code: '40001' }));
    const random = Math.random;
    Math.random = () => -0.5; // no pauses between attempts
    try {
      await expect(workflow(async () => pawl.runTransaction(conflict))()).rejects.toThrow(
        MaxStepRetriesError,
      );
      await expect(pawl.runTransaction(conflict)).rejects.toMatchObject({ code: '40001' });
    } finally {
      Math.random = random;
    }
  });

  test('beside others in one workflow takes its turn in their order', async () => {
    const many = workflow(async () =>
      Promise.all([
        pawl.runStep(() => 'a'),
        pawl.runTransaction(async (tx) => (await insert(tx, 1)).rowCount),
        pawl.runStep(() => 'b'),
        pawl.runTransaction(async (tx) => (await insert(tx, 2)).rowCount),
      ]),
    );
    const handle = await pawl.startWorkflow(many)();
    expect(await handle.getResult()).toEqual(['a', 1, 'b', 1]);
    expect(await (await pawl.forkWorkflow(handle.workflowID, 4)).getResult()).toEqual(['a', 1, 'b', 1]);
    expect(await rows()).toEqual([1, 2]);
  });

  test('whose workflow is cancelled meanwhile still commits, and the cancellation is seen after it', async () => {
    if (!driver.server) return; // Embedded the cancellation waits for the transaction's connection.
    const seen: string[] = [];
    const slow = workflow(async () => {
      await pawl.runTransaction(async (tx) => {
        await insert(tx, 1);
        await expect
          .poll(() => internals(pawl).runtime.engine.activations.get('slow')?.state, {
            interval: 2,
          })
          .toBe('cancelled');
      });
      seen.push('after');
      await pawl.runStep(() => seen.push('next'));
    });
    const handle = await pawl.startWorkflow(slow, { workflowID: 'slow' })();
    await pawl.cancelWorkflow('slow');
    await expect(handle.getResult()).rejects.toThrow(Error);
    expect((await handle.getStatus())?.status).toBe('CANCELLED');
    await expect.poll(rows, { interval: 10 }).toEqual([1]);
    expect(seen).not.toContain('next');
    // A resume does not run it again.
    await pawl.resumeWorkflow('slow');
    await handle.getResult();
    expect(await rows()).toEqual([1]);
    expect(seen.filter((what) => what === 'next')).toHaveLength(1);
  });
});
