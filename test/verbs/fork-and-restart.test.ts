// New workflows from old ones, and none at all: fork, restart, delete.
import type { Pawl, Workflow } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, beforeEach, expect, test } from 'vitest';

describeEachDriver('a workflow that is over', (driver) => {
  let pawl: Pawl;
  let ran: string[] = [];
  let order: Workflow<[string], string[]>;
  let waiting: Workflow<[], unknown>;

  beforeAll(async () => {
    pawl = await driver.launch();
    order = pawl.registerWorkflow(
      async (item: string) => {
        const results: string[] = [];
        for (const name of ['reserve', 'charge', 'ship']) {
          results.push(
            await pawl.runStep(
              () => {
                ran.push(name);
                return `${name} ${item}`;
              },
              { name },
            ),
          );
          await pawl.setEvent('state', name);
        }
        return results;
      },
      { name: 'order' },
    );
    waiting = pawl.registerWorkflow(async () => [await pawl.recv('go', 600), await pawl.recv('go', 600)], {
      name: 'waiting',
    });
  });
  beforeEach(() => {
    ran = [];
  });

  test('forks with the steps before the one that is named; those after it run', async () => {
    const handle = await pawl.startWorkflow(order, { workflowID: 'o1' })('book');
    const results = await handle.getResult();
    const fork = await pawl.forkWorkflow<string[]>('o1', 2, { newWorkflowID: 'o1-fork' });
    expect(fork.workflowID).toBe('o1-fork');
    expect(await fork.getResult()).toEqual(results);
    expect(ran).toEqual(['reserve', 'charge', 'ship', 'charge', 'ship']);
    expect(await fork.getStatus()).toMatchObject({ name: 'order', forkedFrom: 'o1', input: ['book'] });
    expect((await handle.getStatus())?.forkedFrom).toBeNull();
    expect((await pawl.listWorkflowSteps('o1-fork')).map(({ name }) => name)).toEqual(
      (await pawl.listWorkflowSteps('o1')).map(({ name }) => name),
    );
  });

  test('forks with the events of the steps that it takes over', async () => {
    await (await pawl.startWorkflow(order, { workflowID: 'o2' })('book')).getResult();
    const fork = await pawl.forkWorkflow('o2', 6);
    await fork.getResult();
    expect((await pawl.listEvents(fork.workflowID)).map(({ value }) => value)).toEqual([
      'reserve',
      'charge',
      'ship',
    ]);
    expect(ran).toEqual(['reserve', 'charge', 'ship']);
  });

  test('forks under an id of its own unless one is named, and not under one that is taken', async () => {
    await (await pawl.startWorkflow(order, { workflowID: 'o3' })('book')).getResult();
    const [a, b] = [await pawl.forkWorkflow('o3', 0), await pawl.forkWorkflow('o3', 0)];
    expect(new Set(['o3', a.workflowID, b.workflowID]).size).toBe(3);
    const taken = pawl.forkWorkflow('o3', 0, { newWorkflowID: 'o1' });
    await expect(taken).rejects.toMatchObject({ name: 'WorkflowIDInUseError', workflowID: 'o1' });
  });

  test('forks into the messages that the steps it takes over did not receive', async () => {
    const handle = await pawl.startWorkflow(waiting, { workflowID: 'w1' })();
    for (const n of [1, 2, 3]) await pawl.send('w1', n, 'go');
    expect(await handle.getResult()).toEqual([1, 2]);
    expect(await (await pawl.forkWorkflow('w1', 1)).getResult()).toEqual([1, 2]);
    expect(await (await pawl.forkWorkflow('w1', 2)).getResult()).toEqual([1, 2]);
  });

  test('forks while it runs, and each goes its way', async () => {
    const handle = await pawl.startWorkflow(waiting, { workflowID: 'w2' })();
    await pawl.send('w2', 1, 'go');
    await expect.poll(async () => (await pawl.listWorkflowSteps('w2')).length, { interval: 5 }).toBe(2);
    const fork = await pawl.forkWorkflow('w2', 1);
    await pawl.send('w2', 'original', 'go');
    await pawl.send(fork.workflowID, 'fork', 'go');
    expect(await handle.getResult()).toEqual([1, 'original']);
    expect(await fork.getResult()).toEqual([1, 'fork']);
  });

  test('forks into a workflow that starts children of its own', async () => {
    const parent = pawl.registerWorkflow(async (item: string) => (await order(item)).length, {
      name: 'parent of orders',
    });
    await (await pawl.startWorkflow(parent, { workflowID: 'p1' })('book')).getResult();
    await (await pawl.forkWorkflow('p1', 0, { newWorkflowID: 'p2' })).getResult();
    expect(await pawl.getWorkflowStatus('p2-0')).toMatchObject({ parentWorkflowID: 'p2', status: 'SUCCESS' });
    const taken = await pawl.forkWorkflow('p1', 1, { newWorkflowID: 'p3' });
    await taken.getResult();
    expect(await pawl.listWorkflowSteps('p3')).toMatchObject([
      { childWorkflowID: 'p1-0' },
      { childWorkflowID: 'p1-0' },
    ]);
    expect(await pawl.getWorkflowStatus('p3-0')).toBeNull();
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 40, '1' as unknown as number])(
    'does not fork at step %s',
    async (step) => {
      await expect(pawl.forkWorkflow('o1', step)).rejects.toMatchObject({ name: 'ConfigurationError' });
    },
  );

  test('restarts under a new id with the same input; everything runs again', async () => {
    await (
      await pawl.startWorkflow(order, { workflowID: 'o4', attributes: { tenant: 'a' } })('pen')
    ).getResult();
    const restarted = await pawl.restartWorkflow<string[]>('o4');
    expect(restarted.workflowID).not.toBe('o4');
    expect(await restarted.getResult()).toEqual(['reserve pen', 'charge pen', 'ship pen']);
    expect(ran).toHaveLength(6);
    expect(await restarted.getStatus()).toMatchObject({ input: ['pen'], attributes: { tenant: 'a' } });
  });

  test('restarts after it failed, and after it was cancelled', async () => {
    let fail = true;
    const flaky = pawl.registerWorkflow(
      async () => {
        if (fail) throw new Error('no');
        return 'fine';
      },
      { name: 'flaky' },
    );
    await (await pawl.startWorkflow(flaky, { workflowID: 'f1' })()).getResult().catch(() => {});
    fail = false;
    expect(await (await pawl.restartWorkflow('f1')).getResult()).toBe('fine');
    await pawl.startWorkflow(waiting, { workflowID: 'c1' })();
    await pawl.cancelWorkflow('c1');
    const restarted = await pawl.restartWorkflow('c1');
    for (const n of [1, 2]) await pawl.send(restarted.workflowID, n, 'go');
    expect(await restarted.getResult()).toEqual([1, 2]);
    expect((await pawl.getWorkflowStatus('c1'))?.status).toBe('CANCELLED');
  });

  test('is forgotten with all that belongs to it; its id is free again', async () => {
    const handle = await pawl.startWorkflow(order, { workflowID: 'd1' })('book');
    await handle.getResult();
    await pawl.send('d1', 'late', 'topic');
    await pawl.deleteWorkflow('d1');
    expect(await pawl.getWorkflowStatus('d1')).toBeNull();
    expect(await pawl.listWorkflowSteps('d1')).toEqual([]);
    expect(await pawl.listEvents('d1')).toEqual([]);
    expect(await pawl.listMessages('d1')).toEqual([]);
    const again = await pawl.startWorkflow(waiting, { workflowID: 'd1' })();
    for (const n of [1, 2]) await pawl.send('d1', n, 'go');
    expect(await again.getResult()).toEqual([1, 2]);
    await expect(pawl.deleteWorkflow('is-nowhere')).rejects.toMatchObject({
      name: 'NonExistentWorkflowError',
    });
  });

  test('that still runs when it is forgotten writes nothing into its successor', async () => {
    let release: (value: string) => void = () => {};
    const held = new Promise<string>((resolve) => (release = resolve));
    const slow = pawl.registerWorkflow(
      async (who: string) => {
        const value = await pawl.runStep(async () => (who === 'first' ? held : 'second'), { name: 'hold' });
        await pawl.setEvent('who', value);
        return value;
      },
      { name: 'slow' },
    );
    await pawl.startWorkflow(slow, { workflowID: 'd2' })('first');
    await pawl.deleteWorkflow('d2');
    const second = await pawl.startWorkflow(slow, { workflowID: 'd2' })('second');
    release('ghost');
    expect(await second.getResult()).toBe('second');
    expect((await pawl.listEvents('d2')).map(({ value }) => value)).toEqual(['second']);
    expect(await pawl.listWorkflowSteps('d2')).toMatchObject([{ output: 'second' }, { name: 'who' }]);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['fork', () => pawl.forkWorkflow('is-nowhere', 0)],
    ['restart', () => pawl.restartWorkflow('is-nowhere')],
    ['delete', () => pawl.deleteWorkflow('is-nowhere')],
  ])('that is not there is an error: %s, also where a message waits for it', async (_, call) => {
    await expect(call()).rejects.toMatchObject({
      name: 'NonExistentWorkflowError',
      workflowID: 'is-nowhere',
    });
    await pawl.send('is-nowhere', 1, 'topic', { onMissing: 'park' });
    await expect(call()).rejects.toMatchObject({ name: 'NonExistentWorkflowError' });
    expect((await pawl.listMessages('is-nowhere')).length).toBeGreaterThan(0);
  });

  test('forked, restarted and deleted inside a workflow is so once, also on replay', async () => {
    await (await pawl.startWorkflow(order, { workflowID: 'o5' })('book')).getResult();
    await (await pawl.startWorkflow(order, { workflowID: 'o6' })('book')).getResult();
    const managing = pawl.registerWorkflow(
      async () => {
        const fork = await pawl.forkWorkflow('o5', 2);
        const restarted = await pawl.restartWorkflow('o5');
        await pawl.deleteWorkflow('o6');
        return [fork.workflowID, restarted.workflowID];
      },
      { name: 'managing' },
    );
    const handle = await pawl.startWorkflow(managing)();
    const ids = await handle.getResult();
    expect(await (await pawl.forkWorkflow(handle.workflowID, 3)).getResult()).toEqual(ids);
    await pawl.waitAll(ids.map((id) => pawl.retrieveWorkflow(id)));
    const forks = (await pawl.listWorkflows({ name: 'order' })).workflows.filter(
      (w) => w.forkedFrom === 'o5',
    );
    expect(forks.map(({ workflowID }) => workflowID).sort()).toEqual([...ids].sort());
  });
});
