// Handles: results and states of workflows by their ids, wherever and whenever they run.
import { type Pawl, TimeoutError, type Workflow } from '@pawl/core';
import { describeEachDriver, quiet } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';

describeEachDriver('a handle', (driver) => {
  test('a workflow that fails is in the log, though nobody waits for it', async () => {
    const warned: unknown[][] = [];
    const logger = { ...quiet, warn: (...args: unknown[]) => warned.push(args) };
    const pawl = await driver.launch({ logger });
    const failing = pawl.registerWorkflow(() => Promise.reject(new RangeError('no stock')), {
      name: 'failing',
    });
    await pawl.startWorkflow(failing, { workflowID: 'unwatched' })();
    await expect
      .poll(() => warned)
      .toContainEqual([
        {
          workflowID: 'unwatched',
          err: expect.objectContaining({ name: 'RangeError', message: 'no stock' }),
        },
        'Workflow "failing" (unwatched) failed',
      ]);
  });

  let pawl: Pawl;
  let waiting: Workflow<[], unknown>;

  beforeAll(async () => {
    pawl = await driver.launch();
    waiting = pawl.registerWorkflow(async () => pawl.recv('go', 600), { name: 'waiting' });
  });

  let made = 0;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `handles${++made}` });

  test('has the result, as often as it is asked', async () => {
    const handle = await pawl.startWorkflow(workflow(async (n: number) => ({ n })))(1);
    const results = await Promise.all([handle.getResult(), handle.getResult()]);
    expect(results).toEqual([{ n: 1 }, { n: 1 }]);
    expect(results[0]).not.toBe(results[1]);
    expect(await handle.getResult()).toEqual({ n: 1 });
    expect(await pawl.retrieveWorkflow(handle.workflowID).getResult()).toEqual({ n: 1 });
  });

  test('rejects with the error of the workflow, as often as it is asked', async () => {
    const handle = await pawl.startWorkflow(
      workflow(async () => {
        throw new RangeError('no');
      }),
    )();
    for (let i = 0; i < 2; i++) await expect(handle.getResult()).rejects.toThrow(new RangeError('no'));
    expect((await handle.getStatus())?.status).toBe('ERROR');
  });

  test('gives up after timeoutSeconds; the workflow goes on', async () => {
    const handle = await pawl.startWorkflow(waiting)();
    const begun = performance.now();
    await expect(handle.getResult({ timeoutSeconds: 0.1 })).rejects.toThrow(TimeoutError);
    expect(performance.now() - begun).toBeGreaterThanOrEqual(99);
    await expect(handle.getResult({ timeoutSeconds: 0 })).rejects.toThrow(TimeoutError);
    await pawl.send(handle.workflowID, 'done', 'go');
    expect(await handle.getResult({ timeoutSeconds: 30 })).toBe('done');
    expect(await handle.getResult({ timeoutSeconds: 0 })).toBe('done');
  });

  test('gives up inside a workflow too, at the same place when replayed', async () => {
    const handle = await pawl.startWorkflow(waiting)();
    const impatient = workflow(async (id: string) => {
      const [outcome] = await Promise.allSettled([
        pawl.retrieveWorkflow(id).getResult({ timeoutSeconds: 0.05 }),
      ]);
      return outcome.status === 'rejected' && outcome.reason instanceof TimeoutError;
    });
    const asking = await pawl.startWorkflow(impatient)(handle.workflowID);
    expect(await asking.getResult()).toBe(true);
    await pawl.send(handle.workflowID, 'done', 'go');
    await handle.getResult();
    expect(await (await pawl.forkWorkflow(asking.workflowID, 1)).getResult()).toBe(true);
  });

  test.each([-1, Number.NaN, '5' as unknown as number])(
    'does not wait for %s seconds',
    async (timeoutSeconds) => {
      await expect(pawl.retrieveWorkflow('x').getResult({ timeoutSeconds })).rejects.toMatchObject({
        name: expect.stringMatching(/^(Validation|Configuration)Error$/),
      });
    },
  );

  test('of an id that nobody started yet has no status, and waits for the result', async () => {
    const handle = pawl.retrieveWorkflow('unborn');
    expect(await handle.getStatus()).toBeNull();
    expect(await pawl.getWorkflowStatus('unborn')).toBeNull();
    await expect(handle.getResult({ timeoutSeconds: 0.02 })).rejects.toThrow(TimeoutError);
    const inside = workflow(async () => pawl.retrieveWorkflow('unborn').getResult());
    const asking = await pawl.startWorkflow(inside, { workflowID: 'asks for the unborn' })();
    await expect.poll(() => pawl.listWorkflowSteps(asking.workflowID), { interval: 5 }).toHaveLength(1);
    const results = Promise.all([handle.getResult({ timeoutSeconds: 30 }), asking.getResult()]);
    // In the same turn, so that the database is asked for both at once.
    await internals(pawl).runtime.outcome('unborn').looked;
    expect(await handle.getStatus()).toBeNull();
    await pawl.startWorkflow(
      workflow(async () => 'born'),
      { workflowID: 'unborn' },
    )();
    expect(await results).toEqual(['born', 'born']);
  });

  test('has a status with what is known of the workflow', async () => {
    const attributes = { tenant: 'a', n: [1, { deep: null }] };
    const before = Date.now();
    const handle = await pawl.withAuth({ user: 'ada' }, () =>
      pawl.startWorkflow(waiting, { workflowID: 'known', attributes, priority: 3, timeout: '1h' })(),
    );
    const pending = await handle.getStatus();
    expect(pending).toMatchObject({
      workflowID: 'known',
      status: 'PENDING',
      name: 'waiting',
      input: [],
      completedAt: null,
      executorID: pawl.executorID,
      recoveryAttempts: 0,
      queueName: null,
      priority: 3,
      deduplicationID: null,
      partitionKey: null,
      parentWorkflowID: null,
      forkedFrom: null,
      timeoutMs: 3_600_000,
      attributes,
      authenticatedUser: 'ada',
      parked: false,
      blocked: null,
    });
    expect(pending?.applicationVersion).toMatch(/./);
    expect(Math.abs((pending?.createdAt ?? 0) - before)).toBeLessThan(10_000);
    expect((pending?.deadline ?? 0) - (pending?.createdAt ?? 0)).toBeCloseTo(3_600_000, -2);
    await pawl.send('known', { at: new Date(3) }, 'go');
    await handle.getResult();
    const ended = await handle.getStatus();
    expect(ended).toMatchObject({ status: 'SUCCESS', output: { at: new Date(3) } });
    expect(ended?.error).toBeUndefined();
    expect(ended?.completedAt).toBeGreaterThanOrEqual(ended?.createdAt ?? Number.POSITIVE_INFINITY);
  });

  test('has the error in the status of a workflow that failed', async () => {
    const handle = await pawl.startWorkflow(
      workflow(async (n: number) => {
        throw new RangeError(`no ${n}`);
      }),
    )(7);
    await handle.getResult().catch(() => {});
    const status = await handle.getStatus();
    expect(status).toMatchObject({ status: 'ERROR', input: [7], error: { message: 'no 7' } });
    expect(status?.error).toBeInstanceOf(RangeError);
    expect(status?.output).toBeUndefined();
  });

  test('asked inside a workflow is recorded: a replay sees the status of then', async () => {
    const other = await pawl.startWorkflow(waiting, { workflowID: 'observed' })();
    const observing = workflow(async () => [
      (await pawl.retrieveWorkflow('observed').getStatus())?.status,
      (await pawl.getWorkflowStatus('observed'))?.status,
    ]);
    const handle = await pawl.startWorkflow(observing)();
    expect(await handle.getResult()).toEqual(['PENDING', 'PENDING']);
    await pawl.send('observed', 1, 'go');
    await other.getResult();
    const fork = await pawl.forkWorkflow(handle.workflowID, 1);
    expect(await fork.getResult()).toEqual(['PENDING', 'SUCCESS']);
  });

  test('of several: waitAll gives all results in order, waitFirst the first to end', async () => {
    const quick = workflow(async (n: number) => n);
    const handles = await Promise.all([1, 2, 3].map((n) => pawl.startWorkflow(quick)(n)));
    expect(await pawl.waitAll(handles)).toEqual([1, 2, 3]);
    const slow = await pawl.startWorkflow(waiting)();
    const failing = await pawl.startWorkflow(
      workflow(async () => {
        throw new Error('no');
      }),
    )();
    expect((await pawl.waitFirst<unknown>([slow, failing])).workflowID).toBe(failing.workflowID);
    await expect(pawl.waitAll<unknown>([slow, failing])).rejects.toThrow('no');
    await slow.cancel();
    expect(await pawl.waitAll([])).toEqual([]);
    await expect(pawl.waitFirst([])).rejects.toMatchObject({ name: 'ValidationError' });
  });

  test('that waits when its process stops rejects, and says why', async () => {
    const other = await driver.launch();
    const never = other.registerWorkflow(async () => other.recv('never', 600), { name: 'never' });
    const handle = await other.startWorkflow(never)();
    const unborn = other.retrieveWorkflow('unborn').getResult();
    const outcomes = Promise.allSettled([handle.getResult(), unborn, other.waitFirst([handle])]);
    await other.shutdown({ graceSeconds: 0 });
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { name: 'NotLaunchedError', retryable: true },
      });
  });

  if (driver.server) {
    test('has the result of a workflow that runs in another process, at once', async () => {
      const schema = driver.freshSchema();
      const [a, b] = [driver.create({ schema }), driver.create({ schema })];
      const body = async () => a.recv('go', 600);
      const running = a.registerWorkflow(body, { name: 'running' });
      await Promise.all([a.launch(), b.launch()]);
      await a.startWorkflow(running, { workflowID: 'elsewhere' })();
      const results = Promise.all([
        b.retrieveWorkflow('elsewhere').getResult(),
        b.retrieveWorkflow('elsewhere').getResult({ timeoutSeconds: 30 }),
      ]);
      await expect
        .poll(() => driver.sql(`SELECT 1 FROM ${schema}.waiter WHERE target = 'elsewhere'`), { interval: 5 })
        .toHaveLength(1);
      const begun = performance.now();
      await a.send('elsewhere', 'done', 'go');
      expect(await results).toEqual(['done', 'done']);
      expect(performance.now() - begun).toBeLessThan(3000);
    });
  }
});
