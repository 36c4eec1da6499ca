// Workflows that start workflows: ids that survive replay, results, errors, and whose child it is.
import { type Pawl, WorkflowConflictError, type Workflow, type WorkflowHandle } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';

describeEachDriver('a child workflow', (driver) => {
  let pawl: Pawl;
  let runs = 0;
  let double: Workflow<[number], number>;
  let waiting: Workflow<[], unknown>;

  beforeAll(async () => {
    pawl = await driver.launch();
    double = pawl.registerWorkflow(
      async (n: number) => {
        runs++;
        if (n < 0) throw new RangeError(`${n} is negative`);
        return n * 2;
      },
      { name: 'double' },
    );
    waiting = pawl.registerWorkflow(async () => pawl.recv('go', 600), { name: 'waiting' });
  });

  let made = 0;
  const workflow = <A extends unknown[], R>(body: (...args: A) => Promise<R>): Workflow<A, R> =>
    pawl.registerWorkflow(body, { name: `parents${++made}` });
  const start = <A extends unknown[], R>(
    parent: Workflow<A, R>,
    workflowID: string,
    ...args: A
  ): Promise<WorkflowHandle<R>> => pawl.startWorkflow(parent, { workflowID })(...args);

  test('has the id {parent}-{step}, and its parent', async () => {
    const parent = workflow(async () => {
      await pawl.runStep(() => 1);
      const direct = await double(1);
      const handle = await pawl.startWorkflow(double)(2);
      return [direct, handle.workflowID, await handle.getResult()];
    });
    const handle = await start(parent, 'family');
    expect(await handle.getResult()).toEqual([2, 'family-3', 4]);
    expect(await pawl.getWorkflowStatus('family-1')).toMatchObject({
      name: 'double',
      parentWorkflowID: 'family',
      status: 'SUCCESS',
    });
    const children = await pawl.listWorkflows({ parentWorkflowID: 'family' });
    expect(children.workflows.map(({ workflowID }) => workflowID)).toEqual(['family-1', 'family-3']);
    expect(await pawl.listWorkflowSteps('family')).toMatchObject([
      { kind: 'step' },
      { kind: 'start', name: 'double', childWorkflowID: 'family-1' },
      { kind: 'getResult', childWorkflowID: 'family-1', output: 2 },
      { kind: 'start', childWorkflowID: 'family-3' },
      { kind: 'getResult', childWorkflowID: 'family-3', output: 4 },
    ]);
  });

  test('takes the id that the caller names, or that withNextWorkflowID gives', async () => {
    const parent = workflow(async () => {
      const named = await pawl.startWorkflow(double, { workflowID: 'named-child' })(1);
      const next = await pawl.withNextWorkflowID('next-child', () => pawl.startWorkflow(double)(2));
      return [named.workflowID, next.workflowID];
    });
    expect(await (await start(parent, 'naming')).getResult()).toEqual(['named-child', 'next-child']);
  });

  test('is started once, also when the parent is replayed', async () => {
    runs = 0;
    const parent = workflow(async () => {
      const results = [await double(1), ...(await Promise.all([double(2), double(3)]))];
      await pawl.recv('go', 600);
      return results;
    });
    const handle = await start(parent, 'replayed');
    await expect
      .poll(async () => (await pawl.listWorkflowSteps('replayed')).at(-1)?.kind, { interval: 10 })
      .toBe('recv');
    await pawl.shutdown({ graceSeconds: 0 });
    await pawl.launch();
    await pawl.send('replayed', 1, 'go');
    expect(await pawl.retrieveWorkflow(handle.workflowID).getResult()).toEqual([2, 4, 6]);
    expect(runs).toBe(3);
  });

  test('hands its error to the parent, with its class', async () => {
    const parent = workflow(async () => {
      const error = await double(-1).catch((thrown: unknown) => thrown);
      return [error instanceof RangeError, (error as Error).message];
    });
    const handle = await start(parent, 'failing');
    expect(await handle.getResult()).toEqual([true, '-1 is negative']);
    expect(await (await pawl.forkWorkflow('failing', 2)).getResult()).toEqual([true, '-1 is negative']);
  });

  test('that is cancelled is an error of its own in the parent, which goes on', async () => {
    const parent = workflow(async () => {
      const child = await pawl.startWorkflow(waiting, { workflowID: 'cancelled-child' })();
      const error = await child.getResult().catch((thrown: unknown) => thrown as Error);
      return (error as Error).name;
    });
    const handle = await start(parent, 'bereaved');
    await expect
      .poll(async () => (await pawl.getWorkflowStatus('cancelled-child'))?.status, { interval: 10 })
      .toBe('PENDING');
    await pawl.cancelWorkflow('cancelled-child');
    expect(await handle.getResult()).toBe('AwaitedWorkflowCancelledError');
    expect((await handle.getStatus())?.status).toBe('SUCCESS');
  });

  test.each(['double', 'waiting'])(
    'cannot take the id of a workflow that is not ours (a %s); that one is untouched',
    async (name) => {
      const foreign =
        name === 'double'
          ? await pawl.startWorkflow(double, { workflowID: `foreign-${name}` })(21)
          : await pawl.startWorkflow(waiting, { workflowID: `foreign-${name}` })();
      const parent = workflow(async () =>
        pawl
          .startWorkflow(double, { workflowID: `foreign-${name}` })(1)
          .catch((thrown: unknown) => thrown),
      );
      const handle = await start(parent, `conflict-${name}`);
      const live = await handle.getResult();
      const replayed = await (await pawl.forkWorkflow(handle.workflowID, 1)).getResult();
      for (const error of [live, replayed]) expect(error).toBeInstanceOf(WorkflowConflictError);
      expect((await foreign.getStatus())?.parentWorkflowID).toBeNull();
      if (name === 'double') expect(await foreign.getResult()).toBe(42);
      else await foreign.cancel();
    },
  );

  test('named twice by its parent runs once', async () => {
    runs = 0;
    const parent = workflow(async () => {
      const start = () => pawl.startWorkflow(double, { workflowID: 'twice' })(1);
      const handles = [await start(), ...(await Promise.all([start(), start()]))];
      return Promise.all(handles.map((handle) => handle.getResult()));
    });
    expect(await (await start(parent, 'doubling')).getResult()).toEqual([2, 2, 2]);
    expect(runs).toBe(1);
  });

  test('of another workflow is refused whoever that is: the second parent gets a conflict', async () => {
    const parent = workflow(async () => {
      const [outcome] = await Promise.allSettled([
        pawl.startWorkflow(double, { workflowID: 'contested' })(1),
      ]);
      return outcome.status;
    });
    const handles = [await start(parent, 'first-parent'), await start(parent, 'second-parent')];
    const outcomes = await Promise.all(handles.map((handle) => handle.getResult()));
    expect(outcomes).toEqual(['fulfilled', 'rejected']);
    expect((await pawl.getWorkflowStatus('contested'))?.parentWorkflowID).toBe('first-parent');
  });

  test('with an input that cannot be stored is an error in the parent, and is not started', async () => {
    const parent = workflow(async () => {
      const [outcome] = await Promise.allSettled([double({ fn() {} } as unknown as number)]);
      await double(1);
      return outcome.status === 'rejected' ? (outcome.reason as Error).name : 'started';
    });
    const handle = await start(parent, 'unstorable');
    expect(await handle.getResult()).toBe('SerializationError');
    expect(await (await pawl.forkWorkflow('unstorable', 3)).getResult()).toBe('SerializationError');
  });

  test('inherits who asked for it, and withAuth inside names another', async () => {
    const parent = workflow(async () => {
      await pawl.startWorkflow(waiting, { workflowID: 'inherits' })();
      await pawl.withAuth({ user: 'bob' }, () => pawl.startWorkflow(waiting, { workflowID: 'named-user' })());
    });
    await pawl.withAuth({ user: 'ada', roles: ['admin'] }, () => parent());
    const user = async (id: string) => (await pawl.getWorkflowStatus(id))?.authenticatedUser;
    expect(await user('inherits')).toBe('ada');
    expect(await user('named-user')).toBe('bob');
    await pawl.cancelWorkflows(['inherits', 'named-user']);
  });

  test.each([{ user: '' }, { user: 'a\0b' }, { roles: ['a\0b'] }, { user: 7 as unknown as string }])(
    'is not asked for by %j',
    async (auth) => {
      await expect(pawl.withAuth(auth, () => double(1))).rejects.toMatchObject({ name: 'ValidationError' });
    },
  );

  test('outlives its parent', async () => {
    const parent = workflow(async () => {
      await pawl.startWorkflow(waiting, { workflowID: 'orphan' })();
      throw new Error('the parent fails');
    });
    await expect(parent()).rejects.toThrow('the parent fails');
    await pawl.send('orphan', 'alive', 'go');
    expect(await pawl.retrieveWorkflow('orphan').getResult()).toBe('alive');
  });

  test('may have children itself, as deep as one likes, and many of them', async () => {
    const tree = pawl.registerWorkflow(
      async (depth: number): Promise<number> => {
        if (depth === 0) return 1;
        const below = await Promise.all([1, 2, 3].map(() => pawl.startWorkflow<number>('tree')(depth - 1)));
        const counts = await pawl.waitAll(below);
        return counts.reduce((sum, count) => sum + count, 1);
      },
      { name: 'tree' },
    );
    const handle = await pawl.startWorkflow(tree, { workflowID: 'tree' })(3);
    expect(await handle.getResult()).toBe(40);
    expect((await pawl.listWorkflows({ idPrefix: 'tree-' })).workflows).toHaveLength(39);
  });

  test('waitFirst gives the first to end, the same on replay', async () => {
    const parent = workflow(async () => {
      const handles = [
        await pawl.startWorkflow(waiting)(),
        await pawl.startWorkflow(waiting, { workflowID: 'ends-first' })(),
        await pawl.startWorkflow(waiting)(),
      ];
      const first = await pawl.waitFirst(handles);
      await Promise.all(handles.filter((handle) => handle !== first).map((handle) => handle.cancel()));
      return first.workflowID;
    });
    const handle = await start(parent, 'waiting-first');
    await pawl.send('ends-first', 1, 'go', { onMissing: 'park' });
    expect(await handle.getResult()).toBe('ends-first');
    const steps = await pawl.listWorkflowSteps('waiting-first');
    expect(await (await pawl.forkWorkflow('waiting-first', steps.length)).getResult()).toBe('ends-first');
  });

  test('of a parent with an id of 255 characters can be got at like any other', async () => {
    const parent = workflow(async () => {
      const child = await pawl.startWorkflow(waiting)();
      return child.workflowID;
    });
    const id = await (await start(parent, 'p'.repeat(255))).getResult();
    expect(await pawl.getWorkflowStatus(id)).toMatchObject({ parentWorkflowID: 'p'.repeat(255) });
    await pawl.send(id, 'hello', 'go');
    expect(await pawl.retrieveWorkflow(id).getResult()).toBe('hello');
    await pawl.cancelWorkflow(id);
  });
});
