// Cancelling, and going on after it: from the last completed step.
import { type Pawl, type Workflow, WorkflowCancelledError } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';

describeEachDriver('cancelling', (driver) => {
  let pawl: Pawl;
  let waiting: Workflow<[], unknown>;

  beforeAll(async () => {
    pawl = await driver.launch();
    waiting = pawl.registerWorkflow(async () => pawl.recv('go', 600), { name: 'waiting' });
  });

  let made = 0;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `cancels${++made}` });
  const status = async (id: string) => (await pawl.getWorkflowStatus(id))?.status;
  /** Until the workflow has so many steps, those that wait included. */
  const reaches = (id: string, steps: number) =>
    expect.poll(async () => (await pawl.listWorkflowSteps(id)).length, { interval: 5 }).toBe(steps);

  test.each<[string, () => Promise<unknown>]>([
    ['recv', () => pawl.recv('never', 600)],
    ['getEvent', () => pawl.getEvent('nobody', 'never', 600)],
    ['sleep', () => pawl.sleep('1h')],
    ['the result of another workflow', () => pawl.retrieveWorkflow('nobody').getResult()],
    ['a child', () => waiting()],
    ['several at once', () => Promise.all([pawl.recv('never', 600), pawl.sleep('4s')])],
  ])('ends a wait at once: %s', async (_, wait) => {
    let thrown: unknown;
    const waits = workflow(async () => {
      await wait().catch((error: unknown) => {
        thrown = error;
        throw error;
      });
    });
    const handle = await pawl.startWorkflow(waits)();
    await expect
      .poll(async () => (await pawl.listWorkflowSteps(handle.workflowID)).length, { interval: 5 })
      .toBeGreaterThan(0);
    const begun = performance.now();
    await handle.cancel();
    await expect(handle.getResult()).rejects.toMatchObject({ workflowID: handle.workflowID });
    expect(performance.now() - begun).toBeLessThan(3500);
    expect(await status(handle.workflowID)).toBe('CANCELLED');
    // A sleep of an hour is parked: nobody is there to hear of it.
    if (_ !== 'sleep')
      await expect.poll(() => thrown, { interval: 5 }).toBeInstanceOf(WorkflowCancelledError);
  });

  test('aborts the signals of running steps; what they return is kept, and the next step does not run', async () => {
    const seen: string[] = [];
    const stepping = workflow(async () => {
      const workflowSignal = pawl.signal;
      const first = await pawl.runStep(
        async ({ signal }) => {
          seen.push('first');
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          seen.push(String(signal.reason instanceof WorkflowCancelledError), String(workflowSignal?.aborted));
          return 'charged';
        },
        { name: 'charge' },
      );
      seen.push('after');
      await pawl.runStep(() => seen.push('second'));
      return first;
    });
    const handle = await pawl.startWorkflow(stepping, { workflowID: 'stepping' })();
    await expect.poll(() => seen, { interval: 5 }).toEqual(['first']);
    await handle.cancel();
    await expect.poll(() => seen, { interval: 5 }).toEqual(['first', 'true', 'true']);
    await expect
      .poll(() => pawl.listWorkflowSteps('stepping'), { interval: 5 })
      .toMatchObject([{ name: 'charge', output: 'charged' }]);
    expect(seen).toHaveLength(3);
    // Not charged twice.
    const resumed = await pawl.resumeWorkflow('stepping');
    expect(await resumed.getResult()).toBe('charged');
    expect(seen.slice(3)).toEqual(['after', 'second']);
  });

  test('is met again by code that catches it and goes on', async () => {
    const errors: unknown[] = [];
    const stubborn = workflow(async () => {
      for (const call of [
        () => pawl.recv('never', 600),
        () => pawl.runStep(() => 1),
        () => pawl.setEvent('key', 1),
        () => pawl.sleep(1),
        () => waiting(),
        () => pawl.runTransaction(async () => 1),
      ])
        await call().catch((error: unknown) => errors.push(error));
      return 'fine';
    });
    const handle = await pawl.startWorkflow(stubborn)();
    await reaches(handle.workflowID, 1);
    await handle.cancel();
    await expect.poll(() => errors.length, { interval: 5 }).toBe(6);
    for (const error of errors) expect(error).toBeInstanceOf(WorkflowCancelledError);
    expect(await status(handle.workflowID)).toBe('CANCELLED');
    expect(await pawl.getEvent(handle.workflowID, 'key', 0)).toBeNull();
  });

  test('reaches what the body has begun and not awaited yet, and does the process no harm', async () => {
    const unhandled: unknown[] = [];
    const listener = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', listener);
    try {
      let finish = () => {};
      const finished = new Promise<void>((resolve) => (finish = resolve));
      const calls: [string, () => Promise<unknown>][] = [
        ['recv', () => pawl.recv('never', 600)],
        ['getEvent', () => pawl.getEvent('nobody', 'never', 600)],
        ['sleep', () => pawl.sleep('1h')],
        ['result', () => pawl.retrieveWorkflow('nobody').getResult()],
        ['child', () => waiting()],
        ['first of several', () => pawl.waitFirst([pawl.retrieveWorkflow('nobody')])],
        ['all of several', () => pawl.waitAll([pawl.retrieveWorkflow('nobody')])],
      ];
      for (const [name, call] of calls) {
        const busy = workflow(async () => {
          const begun = call();
          await pawl.runStep(() => finished, { name: `beside ${name}` });
          return begun;
        });
        const handle = await pawl.startWorkflow(busy)();
        await expect
          .poll(async () => (await pawl.listWorkflowSteps(handle.workflowID)).length, { interval: 2 })
          .toBeGreaterThan(0);
        await handle.cancel();
        await expect(handle.getResult()).rejects.toThrow(Error);
      }
      finish();
      // Whatever that sets off in this process is through when the database has answered a tick.
      await internals(pawl).runtime.executor.tickNow();
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', listener);
    }
  });

  test('leaves children alone, unless they are to be cancelled too, however deep', async () => {
    const family = pawl.registerWorkflow(
      async (depth: number): Promise<void> => {
        if (depth > 0) await pawl.startWorkflow('family')(depth - 1);
        await pawl.recv('never', 600);
      },
      { name: 'family' },
    );
    for (const cancelChildren of [false, true]) {
      await pawl.cancelWorkflows([], { cancelChildren });
      const id = `family-${cancelChildren}`;
      await pawl.startWorkflow(family, { workflowID: id })(2);
      await expect
        .poll(async () => (await pawl.listWorkflowSteps(`${id}-0-0`)).length, { interval: 5 })
        .toBe(1);
      await pawl.cancelWorkflow(id, { cancelChildren });
      const states = (await pawl.listWorkflows({ idPrefix: id })).workflows.map((w) => w.status);
      expect(states).toEqual(
        cancelChildren ? ['CANCELLED', 'CANCELLED', 'CANCELLED'] : ['CANCELLED', 'PENDING', 'PENDING'],
      );
      if (!cancelChildren) await pawl.cancelWorkflow(`${id}-0`, { cancelChildren: true });
    }
  });

  test('several at once; finished and unknown ones are left alone', async () => {
    const done = workflow(async () => 'done');
    await (await pawl.startWorkflow(done, { workflowID: 'is-done' })()).getResult();
    await pawl.startWorkflow(waiting, { workflowID: 'w1' })();
    await pawl.startWorkflow(waiting, { workflowID: 'w2' })();
    await pawl.cancelWorkflows(['w1', 'is-done', 'w2', 'is-unknown', 'w1']);
    expect(await Promise.all(['w1', 'w2', 'is-done', 'is-unknown'].map(status))).toEqual([
      'CANCELLED',
      'CANCELLED',
      'SUCCESS',
      undefined,
    ]);
    const completedAt = (await pawl.getWorkflowStatus('w1'))?.completedAt;
    await pawl.cancelWorkflow('w1');
    expect((await pawl.getWorkflowStatus('w1'))?.completedAt).toBe(completedAt);
  });

  test('inside a workflow is a step; a workflow may cancel itself', async () => {
    const suicidal = workflow(async () => {
      await pawl.cancelWorkflow(pawl.workflowID ?? '');
      await pawl.runStep(() => 1);
    });
    const handle = await pawl.startWorkflow(suicidal)();
    await expect(handle.getResult()).rejects.toMatchObject({ workflowID: handle.workflowID });
    expect(await status(handle.workflowID)).toBe('CANCELLED');
  });

  test('then resuming goes on from the last completed step, with its waits', async () => {
    const seen: string[] = [];
    const resumable = workflow(async () => {
      await pawl.runStep(() => seen.push('one'));
      const message = await pawl.recv<string>('go', 600);
      await pawl.runStep(() => seen.push('two'));
      return message;
    });
    const handle = await pawl.startWorkflow(resumable, { workflowID: 'resumable' })();
    await reaches('resumable', 2);
    await handle.cancel();
    await pawl.send('resumable', 'hello', 'go');
    const resumed = await pawl.resumeWorkflow('resumable');
    expect(await resumed.getResult()).toBe('hello');
    expect(seen).toEqual(['one', 'two']);
    expect(await status('resumable')).toBe('SUCCESS');
    expect(await handle.getResult()).toBe('hello');
  });

  test('and resuming, again and again, runs one activation at a time', async () => {
    let active = 0;
    let most = 0;
    const counted = workflow(async () => {
      await pawl.recv('never', 600);
    });
    const exclusive = workflow(async () => {
      most = Math.max(most, ++active);
      try {
        await pawl.recv('never', 600);
      } finally {
        active--;
      }
    });
    await pawl.startWorkflow(counted, { workflowID: 'counted' })();
    await pawl.startWorkflow(exclusive, { workflowID: 'exclusive' })();
    for (let i = 0; i < 10; i++) {
      await pawl.cancelWorkflow('exclusive');
      await pawl.resumeWorkflow('exclusive');
      await expect.poll(() => active, { interval: 2 }).toBe(1);
    }
    expect(most).toBe(1);
    await pawl.cancelWorkflows(['exclusive', 'counted']);
  });

  test('resuming what runs or has ended changes nothing', async () => {
    let bodies = 0;
    const counting = workflow(async () => {
      bodies++;
      return pawl.recv('go', 600);
    });
    await pawl.startWorkflow(counting, { workflowID: 'running' })();
    await reaches('running', 1);
    await pawl.resumeWorkflow('running');
    await pawl.send('running', 'done', 'go');
    const handle = await pawl.resumeWorkflow('running');
    expect(await handle.getResult()).toBe('done');
    expect(await (await pawl.resumeWorkflow('running')).getResult()).toBe('done');
    expect(bodies).toBe(1);
  });

  test('resuming what is not there is an error', async () => {
    await expect(pawl.resumeWorkflow('is-nowhere')).rejects.toMatchObject({
      name: 'NonExistentWorkflowError',
      workflowID: 'is-nowhere',
    });
    await pawl.send('is-reserved', 1, 'topic', { onMissing: 'park' });
    await expect(pawl.resumeWorkflow('is-reserved')).rejects.toMatchObject({ workflowID: 'is-reserved' });
  });

  test('resumes several, inside a workflow too, with a handle for each', async () => {
    for (const id of ['r1', 'r2']) await pawl.startWorkflow(waiting, { workflowID: id })();
    await pawl.cancelWorkflows(['r1', 'r2']);
    const resuming = workflow(async () => {
      await pawl.resumeWorkflows(['r1', 'r2']);
    });
    await resuming();
    const handles = await pawl.resumeWorkflows(['r1', 'r2']);
    for (const { workflowID } of handles) await pawl.send(workflowID, workflowID, 'go');
    expect(await pawl.waitAll(handles)).toEqual(['r1', 'r2']);
  });

  if (driver.server) {
    test('from another process is seen at once, in a wait and in a step', async () => {
      const schema = driver.freshSchema();
      const [a, b] = [driver.create({ schema }), driver.create({ schema })];
      const reasons: unknown[] = [];
      const waits = a.registerWorkflow(async () => a.recv('never', 600), { name: 'waits' });
      const steps = a.registerWorkflow(
        async () =>
          a.runStep(async ({ signal }) => {
            await new Promise((resolve) => signal.addEventListener('abort', resolve));
            reasons.push(signal.reason);
          }),
        { name: 'steps' },
      );
      await Promise.all([a.launch(), b.launch()]);
      const handles = [
        await a.startWorkflow(waits, { workflowID: 'waits' })(),
        await a.startWorkflow(steps, { workflowID: 'steps' })(),
      ];
      const begun = performance.now();
      await b.cancelWorkflows(['waits', 'steps']);
      for (const handle of handles) await expect(handle.getResult()).rejects.toThrow(Error);
      await expect.poll(() => reasons.length, { interval: 5 }).toBe(1);
      expect(reasons[0]).toBeInstanceOf(WorkflowCancelledError);
      expect(performance.now() - begun).toBeLessThan(3000);
    });
  }
});
