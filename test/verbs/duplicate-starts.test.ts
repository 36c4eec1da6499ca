// One id, one run: what a second start of an id gets, and which ids there can be.
import {
  type Pawl,
  ValidationError,
  type Workflow,
  WorkflowConflictError,
  WorkflowIDInUseError,
} from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';

describeEachDriver('starting an id twice', (driver) => {
  let pawl: Pawl;
  const runs = new Map<string, number>();

  const count = () => {
    const id = pawl.workflowID ?? '';
    runs.set(id, (runs.get(id) ?? 0) + 1);
  };
  async function greet(input: unknown) {
    count();
    return pawl.runStep(() => input, { name: 'input' });
  }
  async function other() {
    return 'other';
  }
  let greeting: Workflow<[unknown], unknown>;
  let othering: Workflow<[], string>;

  beforeAll(async () => {
    runs.clear();
    pawl = await driver.launch();
    greeting = pawl.registerWorkflow(greet);
    othering = pawl.registerWorkflow(other);
  });

  test('runs it once; every caller gets the result of that run', async () => {
    const start = (n: number) => pawl.startWorkflow(greeting, { workflowID: 'one' })(n);
    const handles = await Promise.all([1, 2, 3, 4, 5].map(start));
    const results = new Set(await Promise.all(handles.map((handle) => handle.getResult())));
    expect(results).toEqual(new Set([1]));
    expect(await (await start(6)).getResult()).toBe(1);
    expect(runs.get('one')).toBe(1);
  });

  test("under another workflow's name is a conflict, and leaves the first untouched", async () => {
    const handle = await pawl.startWorkflow(greeting, { workflowID: 'taken' })('first');
    const conflict = pawl.startWorkflow(othering, { workflowID: 'taken' })();
    await expect(conflict).rejects.toThrow(WorkflowConflictError);
    await expect(conflict).rejects.toMatchObject({ existingName: 'greet', requestedName: 'other' });
    expect(await handle.getResult()).toBe('first');
    expect((await handle.getStatus())?.name).toBe('greet');
    await expect(pawl.startWorkflow(othering, { workflowID: 'taken' })()).rejects.toThrow(
      WorkflowConflictError,
    );
    expect(await handle.getResult()).toBe('first');
  });

  test('two workflows that race for an id: one wins, the other conflicts', async () => {
    const race = await Promise.allSettled([
      pawl.startWorkflow(greeting, { workflowID: 'race' })('greet'),
      pawl.startWorkflow(othering, { workflowID: 'race' })(),
    ]);
    expect(race.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await pawl.retrieveWorkflow('race').getResult()).toBe('greet');
  });

  test("duplicatePolicy 'reject' rejects every second start, however equal", async () => {
    const start = () =>
      pawl.startWorkflow(greeting, { workflowID: 'rejecting', duplicatePolicy: 'reject' })('same');
    const handle = await start();
    await expect(start()).rejects.toThrow(WorkflowIDInUseError);
    expect(await handle.getResult()).toBe('same');
    await expect(start()).rejects.toMatchObject({ workflowID: 'rejecting', reason: 'exists' });
  });

  test("duplicatePolicy 'reject' lets one of many at once through", async () => {
    const start = () =>
      pawl.startWorkflow(greeting, { workflowID: 'rejecting-many', duplicatePolicy: 'reject' })('same');
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, start));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test("duplicatePolicy 'reject-if-different' compares inputs, not the order of their keys", async () => {
    const policy = { workflowID: 'comparing', duplicatePolicy: 'reject-if-different' } as const;
    const start = (input: unknown) => pawl.startWorkflow(greeting, policy)(input);
    const at = new Date(1_700_000_000_000);
    const first = { a: 1, b: { c: [1, 2], d: at }, e: new Map([['k', 1n]]) };
    const handle = await start(first);
    const reordered = { e: new Map([['k', 1n]]), b: { d: new Date(at), c: [1, 2] }, a: 1 };
    expect(await (await start(reordered)).getResult()).toEqual(first);
    for (const different of [
      { ...first, a: 2 },
      { ...first, b: { c: [2, 1], d: at } },
      { ...first, f: 1 },
      null,
    ]) {
      await expect(start(different)).rejects.toMatchObject({
        name: 'WorkflowIDInUseError',
        reason: 'different-input',
      });
    }
    expect(await handle.getResult()).toEqual(first);
    expect(runs.get('comparing')).toBe(1);
  });

  test('the policy of the registration holds where the start names none', async () => {
    const strict = pawl.registerWorkflow(async (n: number) => n, {
      name: 'strict',
      duplicatePolicy: 'reject',
    });
    await pawl.startWorkflow(strict, { workflowID: 'strict' })(1);
    await expect(pawl.startWorkflow(strict, { workflowID: 'strict' })(1)).rejects.toThrow(
      WorkflowIDInUseError,
    );
    const lenient = { workflowID: 'strict', duplicatePolicy: 'return-existing' } as const;
    expect(await (await pawl.startWorkflow(strict, lenient)(2)).getResult()).toBe(1);
  });

  test('withNextWorkflowID names the first start only', async () => {
    const [first, second] = await pawl.withNextWorkflowID('next', async () => [
      await pawl.startWorkflow(greeting)(1),
      await pawl.startWorkflow(greeting)(2),
    ]);
    expect(first?.workflowID).toBe('next');
    expect(second?.workflowID).not.toBe('next');
    expect(await pawl.withNextWorkflowID('next', () => greeting('again'))).toBe(1);
  });

  test('withNextWorkflowID yields to an id that the start names', async () => {
    const ids = await pawl.withNextWorkflowID('next-2', async () => [
      (await pawl.startWorkflow(greeting, { workflowID: 'named-2' })(1)).workflowID,
      (await pawl.startWorkflow(greeting)(2)).workflowID,
    ]);
    expect(ids).toEqual(['named-2', 'next-2']);
  });

  test('an id may have 1 to 255 characters of any script', async () => {
    for (const id of ['a', 'x'.repeat(255), '😀'.repeat(255), ' spaced \n', `'"\\$1{}%`, 'É/ß?#&']) {
      const handle = await pawl.startWorkflow(greeting, { workflowID: id })(id);
      expect(handle.workflowID).toBe(id);
      expect(await handle.getResult()).toBe(id);
      expect((await pawl.getWorkflowStatus(id))?.workflowID).toBe(id);
    }
  });

  test.each([
    ['empty', ''],
    ['of 256 characters', 'x'.repeat(256)],
    ['with a NUL', 'a\0b'],
    ['with half a character', 'a\ud83d'],
    ['that is no string', 7 as unknown as string],
  ])('an id %s is an error, and nothing is written', async (_, id) => {
    const before = await pawl.listWorkflows({ limit: 10_000 });
    await expect(pawl.startWorkflow(greeting, { workflowID: id })(1)).rejects.toThrow(ValidationError);
    await expect(pawl.withNextWorkflowID(id, () => greeting(1))).rejects.toThrow(ValidationError);
    expect(() => pawl.retrieveWorkflow(id)).toThrow(ValidationError);
    expect((await pawl.listWorkflows({ limit: 10_000 })).workflows).toHaveLength(before.workflows.length);
  });

  test('a start without an id gets one of its own', async () => {
    const [a, b] = await Promise.all([pawl.startWorkflow(greeting)(1), pawl.startWorkflow(greeting)(1)]);
    expect(a.workflowID).not.toBe(b.workflowID);
  });

  test('an input that cannot be stored rejects with its path, and nothing is written', async () => {
    const start = pawl.startWorkflow(greeting, { workflowID: 'unstorable' });
    await expect(start({ items: [{ callback() {} }] })).rejects.toMatchObject({
      name: 'SerializationError',
      message: expect.stringContaining('items[0].callback'),
    });
    expect(await pawl.getWorkflowStatus('unstorable')).toBeNull();
  });

  if (driver.server) {
    test('two processes that start an id run it once', async () => {
      const schema = driver.freshSchema();
      const bodies: string[] = [];
      const processes = await Promise.all(
        ['a', 'b'].map(async (name) => {
          const process = driver.create({ schema });
          const workflow = process.registerWorkflow(
            async (n: number) => {
              bodies.push(process.workflowID ?? '');
              return n;
            },
            { name: 'shared' },
          );
          await process.launch();
          return { name, process, workflow };
        }),
      );
      const ids = Array.from({ length: 20 }, (_, i) => `shared-${i}`);
      const results = await Promise.all(
        processes.flatMap(({ process, workflow }, which) =>
          ids.map(async (workflowID) => {
            const handle = await process.startWorkflow(workflow, { workflowID })(which);
            return { workflowID, result: await handle.getResult() };
          }),
        ),
      );
      expect(bodies.sort()).toEqual([...ids].sort());
      for (const id of ids) {
        expect(new Set(results.filter((r) => r.workflowID === id).map((r) => r.result)).size).toBe(1);
      }
    });
  }
});
