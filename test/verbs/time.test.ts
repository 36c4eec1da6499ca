// sleep, sleepUntil, now, randomUUID: time and chance, recorded.
import type { Pawl, Workflow } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';

const DAY = 86_400_000;

describeEachDriver('time and chance', (driver) => {
  let pawl: Pawl;

  beforeAll(async () => {
    pawl = await driver.launch();
  });

  let made = 0;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `times${++made}` });

  test.each<[string, () => Promise<void>, number]>([
    ['a number is milliseconds', () => pawl.sleep(60), 60],
    ['a text has a unit', () => pawl.sleep('0.06s'), 60],
    ['zero is fine', () => pawl.sleep(0), 0],
    ['a date', () => pawl.sleepUntil(new Date(Date.now() + 60)), 50],
    ['a date in the past', () => pawl.sleepUntil(new Date(0)), 0],
  ])('a sleep takes as long as it says: %s', async (_, sleep, least) => {
    const took = await workflow(async () => {
      const begun = performance.now();
      await sleep();
      return performance.now() - begun;
    })();
    expect(took).toBeGreaterThanOrEqual(least - 1);
    expect(took).toBeLessThan(least + 3000);
  });

  test('sleeps at once take as long as the longest', async () => {
    const took = await workflow(async () => {
      const begun = performance.now();
      await Promise.all([pawl.sleep(100), pawl.sleep(50), pawl.sleep(100), pawl.sleep(80)]);
      return performance.now() - begun;
    })();
    expect(took).toBeGreaterThanOrEqual(99);
    expect(took).toBeLessThan(3000);
  });

  test('a sleep keeps its first end over restarts', async () => {
    const sleeping = workflow(async () => pawl.sleep(700));
    const begun = performance.now();
    const handle = await pawl.startWorkflow(sleeping, { workflowID: 'kept' })();
    await expect.poll(async () => (await pawl.listWorkflowSteps('kept')).length, { interval: 10 }).toBe(1);
    for (let i = 0; i < 3; i++) {
      await pawl.shutdown({ graceSeconds: 0 });
      await pawl.launch();
    }
    await pawl.retrieveWorkflow(handle.workflowID).getResult();
    const took = performance.now() - begun;
    expect(took).toBeGreaterThanOrEqual(699);
    expect(took).toBeLessThan(2000);
  });

  test('a sleep of 60 days neither ends at once nor holds memory', async () => {
    const sleeping = workflow(async () => pawl.sleep('60d'));
    const sleepingUntil = workflow(async () => pawl.sleepUntil(new Date(Date.now() + 60 * DAY)));
    for (const handle of [await pawl.startWorkflow(sleeping)(), await pawl.startWorkflow(sleepingUntil)()]) {
      await expect.poll(async () => (await handle.getStatus())?.parked, { interval: 10 }).toBe(true);
      const [step] = await pawl.listWorkflowSteps(handle.workflowID);
      expect(step).toMatchObject({ kind: 'sleep', completedAt: null });
      await handle.cancel();
      await expect(handle.getResult()).rejects.toMatchObject({ workflowID: handle.workflowID });
    }
  });

  test.each<[string, () => Promise<void>]>([
    ['-1', () => pawl.sleep(-1)],
    ['NaN', () => pawl.sleep(Number.NaN)],
    ['Infinity', () => pawl.sleep(Number.POSITIVE_INFINITY)],
    ['"soon"', () => pawl.sleep('soon' as '1s')],
    ['an invalid Date', () => pawl.sleepUntil(new Date(Number.NaN))],
    ['no Date', () => pawl.sleepUntil('tomorrow' as unknown as Date)],
  ])('a sleep of %s is an error at once, and takes no step', async (_, sleep) => {
    const failing = workflow(async () => sleep());
    const handle = await pawl.startWorkflow(failing)();
    await expect(handle.getResult()).rejects.toMatchObject({
      name: expect.stringMatching(/^(Validation|Configuration)Error$/),
    });
    expect(await pawl.listWorkflowSteps(handle.workflowID)).toEqual([]);
  });

  test('now and randomUUID are the same when replayed', async () => {
    const chancy = workflow(async () => [
      await pawl.now(),
      await pawl.randomUUID(),
      await pawl.now(),
      await pawl.randomUUID(),
    ]);
    const before = Date.now();
    const handle = await pawl.startWorkflow(chancy)();
    const [first, one, second, two] = (await handle.getResult()) as [Date, string, Date, string];
    expect(first).toBeInstanceOf(Date);
    expect(Math.abs(first.getTime() - before)).toBeLessThan(5000);
    expect(second.getTime()).toBeGreaterThanOrEqual(first.getTime());
    expect(one).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(two).not.toBe(one);
    const again = await (await pawl.forkWorkflow(handle.workflowID, 4)).getResult();
    expect(again).toEqual([first, one, second, two]);
  });
});
