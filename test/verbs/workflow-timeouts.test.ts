// Deadlines of workflows: who has one, from when, and what happens at it.
import { type Pawl, type Workflow, WorkflowTimeoutError } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';

const DAY = 86_400_000;

describeEachDriver('the timeout of a workflow', (driver) => {
  let pawl: Pawl;
  let waiting: Workflow<[], unknown>;

  beforeAll(async () => {
    pawl = await driver.launch();
    waiting = pawl.registerWorkflow(async () => pawl.recv('go', 600), { name: 'waiting' });
  });

  let made = 0;
  const workflow = <A extends unknown[], R>(
    body: (...args: A) => Promise<R>,
    options: Parameters<Pawl['registerWorkflow']>[1] = {},
  ): Workflow<A, R> => pawl.registerWorkflow<A, R>(body, { name: `timeouts${++made}`, ...options });
  const deadlineOf = async (id: string) => (await pawl.getWorkflowStatus(id))?.deadline;

  test('cancels it when it is over, and its handle says that it was the time', async () => {
    const begun = performance.now();
    const handle = await pawl.startWorkflow(waiting, { timeout: 100 })();
    const failing = handle.getResult();
    await expect(failing).rejects.toThrow(WorkflowTimeoutError);
    await expect(failing).rejects.toMatchObject({ workflowID: handle.workflowID });
    expect(performance.now() - begun).toBeGreaterThanOrEqual(99);
    expect(performance.now() - begun).toBeLessThan(3000);
    const status = await handle.getStatus();
    expect(status).toMatchObject({ status: 'CANCELLED', timeoutMs: 100 });
    expect(status?.error).toBeInstanceOf(WorkflowTimeoutError);
    expect(status?.error).toMatchObject({
      workflowID: handle.workflowID,
      message: expect.stringContaining(handle.workflowID),
    });
  });

  test('is thrown inside it, and aborts the signal of a running step', async () => {
    const seen: unknown[] = [];
    const stepping = workflow(async () => {
      try {
        await pawl.runStep(async ({ signal }) => {
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          seen.push(signal.reason);
        });
      } catch (error) {
        seen.push(error);
        throw error;
      }
    });
    const handle = await pawl.startWorkflow(stepping, { timeout: '0.1s' })();
    await expect(handle.getResult()).rejects.toThrow(WorkflowTimeoutError);
    await expect.poll(() => seen.length, { interval: 5 }).toBe(2);
    for (const error of seen) expect(error).toBeInstanceOf(WorkflowTimeoutError);
  });

  test('that is long enough changes nothing', async () => {
    const quick = workflow(async () => pawl.sleep(20).then(() => 'done'));
    const handle = await pawl.startWorkflow(quick, { timeout: 60_000 })();
    expect(await handle.getResult()).toBe('done');
    expect((await handle.getStatus())?.status).toBe('SUCCESS');
  });

  test('comes from the start, else from withWorkflowTimeout, else from the registration', async () => {
    const timed = workflow(async () => 1, { timeout: '3h' });
    const timeoutOf = async (
      start: () => Promise<{ getStatus(): Promise<{ timeoutMs: number | null } | null> }>,
    ) => (await (await start()).getStatus())?.timeoutMs;
    expect(await timeoutOf(() => pawl.startWorkflow(timed, { timeout: '1h' })())).toBe(3_600_000);
    expect(await timeoutOf(() => pawl.startWorkflow(timed)())).toBe(10_800_000);
    expect(await timeoutOf(() => pawl.startWorkflow(timed, { timeout: null })())).toBeNull();
    await pawl.withWorkflowTimeout('2h', async () => {
      expect(await timeoutOf(() => pawl.startWorkflow(timed)())).toBe(7_200_000);
      expect(await timeoutOf(() => pawl.startWorkflow(timed, { timeout: 1 * DAY })())).toBe(DAY);
      expect(await timeoutOf(() => pawl.startWorkflow(timed, { timeout: null })())).toBeNull();
      await pawl.withWorkflowTimeout(null, async () => {
        expect(await timeoutOf(() => pawl.startWorkflow(timed)())).toBeNull();
      });
    });
  });

  test('is inherited by children as the same instant, unless they say otherwise', async () => {
    const parent = workflow(async () => {
      await pawl.sleep(30);
      await pawl.startWorkflow(waiting, { workflowID: 'inherits' })();
      await pawl.startWorkflow(waiting, { workflowID: 'has-none', timeout: null })();
      await pawl.startWorkflow(waiting, { workflowID: 'has-its-own', timeout: '2h' })();
      const nested = workflow(async () => {
        await pawl.startWorkflow(waiting, { workflowID: 'inherits-deep' })();
      });
      await nested();
    });
    const handle = await pawl.startWorkflow(parent, { workflowID: 'has-children', timeout: '1h' })();
    await handle.getResult();
    const deadline = await deadlineOf('has-children');
    expect(deadline).toBeTypeOf('number');
    expect(await deadlineOf('inherits')).toBeCloseTo(deadline ?? 0, -3);
    expect(await deadlineOf('inherits-deep')).toBeCloseTo(deadline ?? 0, -3);
    expect(await deadlineOf('has-none')).toBeNull();
    const own = (await deadlineOf('has-its-own')) ?? 0;
    expect(own - (deadline ?? 0)).toBeGreaterThan(3_500_000);
    await pawl.cancelWorkflows(['inherits', 'inherits-deep', 'has-none', 'has-its-own']);
  });

  test('of a parent ends its children with it; those without one live on', async () => {
    const parent = workflow(async () => {
      await pawl.startWorkflow(waiting, { workflowID: 'dies' })();
      await pawl.startWorkflow(waiting, { workflowID: 'lives', timeout: null })();
      await pawl.recv('never', 600);
    });
    const handle = await pawl.startWorkflow(parent, { timeout: 400 })();
    await expect(handle.getResult()).rejects.toThrow(WorkflowTimeoutError);
    await expect(pawl.retrieveWorkflow('dies').getResult()).rejects.toThrow(WorkflowTimeoutError);
    expect((await pawl.getWorkflowStatus('lives'))?.status).toBe('PENDING');
    await pawl.send('lives', 'still here', 'go');
    expect(await pawl.retrieveWorkflow('lives').getResult()).toBe('still here');
  });

  test('of 30 days neither comes at once nor is lost', async () => {
    const handle = await pawl.startWorkflow(waiting, { workflowID: 'month', timeout: '30d' })();
    const status = await handle.getStatus();
    expect(status).toMatchObject({ status: 'PENDING', timeoutMs: 30 * DAY });
    expect((status?.deadline ?? 0) - Date.now()).toBeGreaterThan(29.9 * DAY);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await handle.getStatus())?.status).toBe('PENDING');
    await pawl.send('month', 'done', 'go');
    expect(await handle.getResult()).toBe('done');
  });

  test('keeps running over a restart: the deadline is an instant', async () => {
    await pawl.startWorkflow(waiting, { workflowID: 'restarted', timeout: 600 })();
    const deadline = await deadlineOf('restarted');
    await pawl.shutdown({ graceSeconds: 0 });
    await pawl.launch();
    expect(await deadlineOf('restarted')).toBe(deadline);
    await expect(pawl.retrieveWorkflow('restarted').getResult()).rejects.toThrow(WorkflowTimeoutError);
  });

  test('that passed is forgotten by a resume', async () => {
    const handle = await pawl.startWorkflow(waiting, { workflowID: 'resumed', timeout: 50 })();
    await expect(handle.getResult()).rejects.toThrow(WorkflowTimeoutError);
    const resumed = await pawl.resumeWorkflow('resumed');
    await pawl.send('resumed', 'done', 'go');
    expect(await resumed.getResult()).toBe('done');
    expect((await resumed.getStatus())?.error).toBeUndefined();
  });

  test('of an awaited workflow is thrown in the one that waits, which may go on', async () => {
    const parent = workflow(async () => {
      const child = await pawl.startWorkflow(waiting, { timeout: 50 })();
      return child
        .getResult()
        .catch((error: unknown) => [(error as Error).name, (error as WorkflowTimeoutError).workflowID]);
    });
    const handle = await pawl.startWorkflow(parent, { workflowID: 'waits-in-vain' })();
    expect(await handle.getResult()).toEqual(['WorkflowTimeoutError', 'waits-in-vain-0']);
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 'soon' as '1s'])('cannot be %s', async (timeout) => {
    const wrong = { name: expect.stringMatching(/^(Validation|Configuration)Error$/) };
    await expect(pawl.startWorkflow(waiting, { timeout })()).rejects.toMatchObject(wrong);
    await expect(pawl.withWorkflowTimeout(timeout, async () => 1)).rejects.toMatchObject(wrong);
    expect(() => workflow(async () => 1, { timeout })).toThrow(expect.objectContaining(wrong));
  });
});
