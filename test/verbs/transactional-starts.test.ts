// Starts and messages inside a transaction: there if and only if it commits, whoever's transaction it is.
import {
  NonExistentWorkflowError,
  type Pawl,
  type SqlClient,
  type SqlClientLike,
  WorkflowConflictError,
  type Workflow,
} from '@pawl/core';
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
    pawl.registerWorkflow(body, { name: `transactional${++made}` });
  const insert = (tx: SqlClient, n: number) => tx.query(`INSERT INTO ${table} VALUES ($1)`, [n]);
  const rows = async () =>
    (await driver.sql<{ n: number }>(`SELECT n FROM ${table} ORDER BY n`)).map(({ n }) => n);

  test('may start workflows, which run if and only if it commits', async () => {
    const child = pawl.registerWorkflow(async (n: number) => n * 2, { name: 'child in transaction' });
    const starting = workflow(async (fail: boolean) =>
      pawl.runTransaction(async (tx) => {
        await insert(tx, 1);
        const handle = await pawl.startWorkflow(child, {
          workflowID: `started-${fail}`,
          transaction: tx,
        })(21);
        if (fail) throw new RangeError('no');
        return handle.workflowID;
      }),
    );
    expect(await starting(false)).toBe('started-false');
    expect(await pawl.retrieveWorkflow('started-false').getResult()).toBe(42);
    await expect(starting(true)).rejects.toThrow(RangeError);
    expect(await pawl.getWorkflowStatus('started-true')).toBeNull();
    expect(await rows()).toEqual([1]);
  });

  test('begins with the commit what it started, and does not leave it to the next tick', async () => {
    let seen: string[] = [];
    const mine = driver.create();
    internals(mine).events.on('statement', ({ text }) => seen.push(text));
    const child = mine.registerWorkflow(async () => {}, { name: 'child' });
    await mine.launch();
    const byItself = async (): Promise<boolean> => {
      const id = await driver.transaction(async (tx) => {
        const handle = await mine.startWorkflow(child, { transaction: tx })();
        seen = [];
        return handle.workflowID;
      });
      await mine.retrieveWorkflow(id).getResult();
      const claimed = seen.findIndex((text) => /\bclaim\(/.test(text));
      expect(claimed).toBeGreaterThanOrEqual(0);
      return !seen.slice(0, claimed).some((text) => /\btick\(/.test(text));
    };
    // The launch claims what it finds.
    await byItself();
    // A tick may come in between by chance, but not every time.
    let without = 0;
    for (let i = 0; i < 5 && without === 0; i++) if (await byItself()) without++;
    expect(without).toBe(1);
  });

  test('of a workflow itself, in none of its steps, starts nothing', async () => {
    const transaction = { query: async () => ({ rows: [] }) };
    const starting = workflow(async () => {
      await pawl.startWorkflow(
        workflow(async () => 1),
        { workflowID: 'in-body', transaction },
      )();
    });
    await expect(starting()).rejects.toThrow(/runTransaction\(\)/);
    expect(await pawl.getWorkflowStatus('in-body')).toBeNull();
  });

  test('of the caller may start workflows and send: they are there if and only if it commits', async () => {
    const receiving = pawl.registerWorkflow(async () => pawl.recv<string>('topic', 600), {
      name: 'receiving in transaction',
    });
    const work = (id: string) => async (transaction: SqlClientLike) => {
      const handle = await pawl.startWorkflow(receiving, { workflowID: id, transaction })();
      expect(handle.workflowID).toBe(id);
      await pawl.send(id, `to ${id}`, 'topic', { transaction });
    };
    await driver.transaction(work('own'));
    expect(await pawl.retrieveWorkflow('own').getResult()).toBe('to own');
    const failing = driver.transaction(async (tx) => {
      await work('rolled-back')(tx);
      throw new RangeError('no');
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect(await pawl.getWorkflowStatus('rolled-back')).toBeNull();
    await pawl.runTransaction((tx) => work('plain')(tx));
    expect(await pawl.retrieveWorkflow('plain').getResult()).toBe('to plain');
  });

  test('may be that of a client that has `unsafe` in place of `query`', async () => {
    const receiving = workflow(async () => pawl.recv<string>('topic', 600));
    await driver.transaction(async (tx) => {
      if (!('query' in tx)) throw new Error('The drivers have `query`.');
      const transaction: SqlClientLike = {
        unsafe: async (text, params) => (await tx.query(text, params)).rows,
      };
      await pawl.startWorkflow(receiving, { workflowID: 'unsafe', transaction })();
      await pawl.send('unsafe', 'hello', 'topic', { transaction });
    });
    expect(await pawl.retrieveWorkflow('unsafe').getResult()).toBe('hello');
    const wrong = { transaction: {} as SqlClientLike };
    await expect(pawl.startWorkflow(receiving, wrong)()).rejects.toMatchObject({
      name: 'ConfigurationError',
    });
  });

  test('of the caller wakes a workflow that waits for the message', async () => {
    const waiting = workflow(async () => pawl.recv<string>('topic', 600));
    const handle = await pawl.startWorkflow(waiting)();
    await expect
      .poll(async () => (await pawl.listWorkflowSteps(handle.workflowID)).length, { interval: 10 })
      .toBe(1);
    await driver.transaction((transaction) =>
      pawl.send(handle.workflowID, 'hello', 'topic', { transaction }),
    );
    expect(await handle.getResult()).toBe('hello');
  });

  test('of the caller gets the errors that a start and a send have', async () => {
    const child = pawl.registerWorkflow(async () => 1, { name: 'one of two' });
    const other = pawl.registerWorkflow(async () => 2, { name: 'two of two' });
    await pawl.startWorkflow(child, { workflowID: 'is-taken' })();
    await driver.transaction(async (transaction) => {
      const conflict = pawl.startWorkflow(other, { workflowID: 'is-taken', transaction })();
      await expect(conflict).rejects.toThrow(WorkflowConflictError);
      const missing = pawl.send('nobody', 1, undefined, { transaction });
      await expect(missing).rejects.toThrow(NonExistentWorkflowError);
      await pawl.startWorkflow(child, { workflowID: 'is-taken', transaction })();
    });
    expect(await pawl.getWorkflowStatus('nobody')).toBeNull();
  });
});
