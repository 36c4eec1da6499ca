// listWorkflows and listWorkflowSteps: filters, pages, payloads.
import { type Pawl, ValidationError, type Workflow, type WorkflowFilter } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeAll, expect, test } from 'vitest';

describeEachDriver('listing workflows', (driver) => {
  let pawl: Pawl;
  let middle = 0;
  let waiting: Workflow<[number], unknown>;

  beforeAll(async () => {
    pawl = await driver.launch({ applicationVersion: 'v7', parkAfterSeconds: 600 });
    const add = pawl.registerWorkflow(async (n: number) => n + 1, { name: 'add' });
    const fail = pawl.registerWorkflow(
      async (n: number): Promise<number> => {
        throw new RangeError(`no ${n}`);
      },
      { name: 'fail' },
    );
    waiting = pawl.registerWorkflow(async (n: number) => pawl.recv(`never ${n}`, 600), { name: 'waiting' });
    const parent = pawl.registerWorkflow(async () => add(1), { name: 'parent' });
    for (const n of [1, 2, 3]) {
      await (
        await pawl.startWorkflow(add, { workflowID: `a-${n}`, attributes: { n, even: n % 2 === 0 } })(n)
      ).getResult();
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
    middle = (await pawl.getWorkflowStatus('a-3'))!.createdAt + 1;
    await pawl.withAuth({ user: 'ada' }, async () => {
      await (await pawl.startWorkflow(fail, { workflowID: 'f_1%' })(1)).getResult().catch(() => {});
    });
    await pawl.startWorkflow(waiting, { workflowID: 'w-1' })(1);
    await pawl.startWorkflow(waiting, { workflowID: 'w-2' })(2);
    await pawl.cancelWorkflow('w-2');
    await (await pawl.startWorkflow(parent, { workflowID: 'p' })()).getResult();
    await pawl.send('reserved', 1, 'topic', { onMissing: 'park' });
  });

  const ids = async (filter?: WorkflowFilter) =>
    (await pawl.listWorkflows(filter)).workflows.map(({ workflowID }) => workflowID);
  const all = ['a-1', 'a-2', 'a-3', 'f_1%', 'w-1', 'w-2', 'p', 'p-0'];

  test('gives all, oldest first, without payloads; newest first if asked', async () => {
    const { workflows, cursor } = await pawl.listWorkflows();
    expect(workflows.map(({ workflowID }) => workflowID)).toEqual(all);
    expect(cursor).toBeUndefined();
    for (const workflow of workflows) {
      expect(workflow).not.toHaveProperty('input');
      expect(workflow).not.toHaveProperty('output');
      expect(workflow).not.toHaveProperty('error');
    }
    expect(await ids({ sort: 'desc' })).toEqual([...all].reverse());
  });

  test.each<[string, () => WorkflowFilter, string[]]>([
    ['ids', () => ({ workflowIDs: ['w-1', 'nobody', 'a-2'] }), ['a-2', 'w-1']],
    ['no ids at all', () => ({ workflowIDs: [] }), []],
    ['a prefix', () => ({ idPrefix: 'a-' }), ['a-1', 'a-2', 'a-3']],
    ['a prefix with wildcards of SQL', () => ({ idPrefix: 'f_1%' }), ['f_1%']],
    ['a prefix that only looks like one', () => ({ idPrefix: '_-' }), []],
    ['a name', () => ({ name: 'fail' }), ['f_1%']],
    ['names', () => ({ name: ['fail', 'parent'] }), ['f_1%', 'p']],
    ['a status', () => ({ status: 'PENDING' }), ['w-1']],
    ['statuses', () => ({ status: ['ERROR', 'CANCELLED'] }), ['f_1%', 'w-2']],
    ['a start time', () => ({ startTime: new Date(middle) }), ['f_1%', 'w-1', 'w-2', 'p', 'p-0']],
    ['an end time', () => ({ endTime: middle }), ['a-1', 'a-2', 'a-3']],
    ['the beginning of time', () => ({ startTime: -8.64e15 }), all],
    ['the end of time', () => ({ startTime: 8.64e15 }), []],
    [
      'an end time as text',
      () => ({ endTime: new Date(middle).toISOString(), idPrefix: 'a' }),
      ['a-1', 'a-2', 'a-3'],
    ],
    ['a parent', () => ({ parentWorkflowID: 'p' }), ['p-0']],
    ['a user', () => ({ authenticatedUser: 'ada' }), ['f_1%']],
    ['an attribute', () => ({ attributes: { even: true } }), ['a-2']],
    ['attributes', () => ({ attributes: { even: false, n: 3 } }), ['a-3']],
    ['an attribute that nobody has', () => ({ attributes: { even: 'true' } }), []],
    ['a version', () => ({ applicationVersion: 'v7' }), all],
    ['another version', () => ({ applicationVersion: 'v8' }), []],
    ['an executor', () => ({ executorID: pawl.executorID, status: 'PENDING' }), ['w-1']],
    ['another executor', () => ({ executorID: 'nobody' }), []],
    ['a queue', () => ({ queueName: 'mail' }), []],
    ['several at once', () => ({ idPrefix: 'w', status: 'CANCELLED', name: 'waiting' }), ['w-2']],
  ])('filters by %s', async (_, filter, expected) => {
    expect(await ids(filter())).toEqual(expected);
  });

  test('loads input and output only when asked', async () => {
    const list = async (load: ('input' | 'output')[]) =>
      (await pawl.listWorkflows({ workflowIDs: ['a-1', 'f_1%'], load })).workflows;
    expect(await list(['input'])).toMatchObject([{ input: [1] }, { input: [1] }]);
    const [ended, failed] = await list(['input', 'output']);
    expect(ended).toMatchObject({ input: [1], output: 2 });
    expect(failed).toMatchObject({ error: { message: 'no 1' } });
    expect((await list(['output']))[0]).not.toHaveProperty('input');
  });

  test.each(['asc', 'desc'] as const)(
    'pages %s with a cursor, each once, whatever is added meanwhile',
    async (sort) => {
      const seen: string[] = [];
      let cursor: string | undefined;
      let pages = 0;
      do {
        const page = await pawl.listWorkflows({
          limit: 3,
          sort,
          ...(cursor === undefined ? {} : { cursor }),
        });
        seen.push(...page.workflows.map(({ workflowID }) => workflowID));
        cursor = page.cursor;
        if (++pages === 1 && sort === 'desc') await pawl.startWorkflow(waiting, { workflowID: 'z-added' })(3);
      } while (cursor !== undefined && pages < 10);
      expect(seen).toEqual(sort === 'asc' ? all : [...all].reverse());
      expect(pages).toBe(3);
      if (sort === 'desc') await pawl.deleteWorkflow('z-added');
    },
  );

  test('pages through many that were created at the same instant', async () => {
    const other = await driver.launch();
    const many = other.registerWorkflow(async (n: number) => n, { name: 'many' });
    const started = await Promise.all(Array.from({ length: 57 }, (_, n) => other.startWorkflow(many)(n)));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await other.listWorkflows({ limit: 10, ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...page.workflows.map(({ workflowID }) => workflowID));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(seen.sort()).toEqual(started.map(({ workflowID }) => workflowID).sort());
  });

  test.each<[string, WorkflowFilter]>([
    ['a limit of 0', { limit: 0 }],
    ['a limit of one and a half', { limit: 1.5 }],
    ['a limit that is too large', { limit: 10_001 }],
    ['a cursor that is none', { cursor: 'nonsense' }],
    ['a cursor from elsewhere', { cursor: Buffer.from('["x"]').toString('base64url') }],
    ['a time that is none', { startTime: 'yesterday-ish' }],
    ['a name with a NUL', { name: ['a', 'b\0'] }],
    ['a prefix with half a character', { idPrefix: 'a\ud83d' }],
    ['an id with a NUL', { workflowIDs: ['\0'] }],
    ['attributes with a NUL', { attributes: { a: '\0' } }],
  ])('refuses %s', async (_, filter) => {
    await expect(pawl.listWorkflows(filter)).rejects.toThrow(ValidationError);
  });

  test.each(['', 'a\0b', 7 as unknown as string])(
    'asked for an id that none can have, %j, says so',
    async (id) => {
      await expect(pawl.getWorkflowStatus(id)).rejects.toThrow(ValidationError);
      await expect(pawl.listWorkflowSteps(id)).rejects.toThrow(ValidationError);
      await expect(pawl.listEvents(id)).rejects.toThrow(ValidationError);
      await expect(pawl.listMessages(id)).rejects.toThrow(ValidationError);
      await expect(pawl.cancelWorkflow(id)).rejects.toThrow(ValidationError);
      await expect(pawl.resumeWorkflow(id)).rejects.toThrow(ValidationError);
    },
  );

  test('lists steps in order, with what they waited for and how they ended', async () => {
    const listed = pawl.registerWorkflow(
      async () => {
        await pawl.runStep(() => ({ at: new Date(1) }), { name: 'ok' });
        await pawl.runStep(() => Promise.reject(new RangeError('no')), { name: 'bad' }).catch(() => {});
        await pawl.sleep(1);
        await pawl.setEvent('key', 1);
        await pawl.send(pawl.workflowID ?? '', 1, 'topic');
        await pawl.recv('topic');
        await pawl.now();
        await pawl.recv('never', 600);
      },
      { name: 'listed' },
    );
    await pawl.startWorkflow(listed, { workflowID: 'x-listed' })();
    await expect.poll(async () => (await pawl.listWorkflowSteps('x-listed')).length, { interval: 5 }).toBe(8);
    const steps = await pawl.listWorkflowSteps('x-listed');
    expect(steps.map(({ stepID, kind, name }) => [stepID, kind, name])).toEqual([
      [0, 'step', 'ok'],
      [1, 'step', 'bad'],
      [2, 'sleep', 'sleep'],
      [3, 'setEvent', 'key'],
      [4, 'send', 'topic'],
      [5, 'recv', 'topic'],
      [6, 'now', 'now'],
      [7, 'recv', 'never'],
    ]);
    expect(steps[0]).toMatchObject({ output: { at: new Date(1) }, error: null, attempts: 1 });
    expect(steps[1]?.error).toBeInstanceOf(RangeError);
    expect(steps[5]).toMatchObject({ output: 1 });
    for (const step of steps.slice(0, 7)) {
      expect(step.startedAt).toBeTypeOf('number');
      expect(step.completedAt).toBeGreaterThanOrEqual(step.startedAt ?? Number.POSITIVE_INFINITY);
    }
    expect(steps[7]).toMatchObject({ completedAt: null });
    await pawl.deleteWorkflow('x-listed');
    expect(await pawl.listWorkflowSteps('nobody')).toEqual([]);
  });

  test('lists executors: this one, and those before it', async () => {
    const executors = await pawl.listExecutors();
    expect(executors.at(-1)).toMatchObject({
      executorID: pawl.executorID,
      applicationVersion: 'v7',
      pid: process.pid,
      goneAt: null,
      alive: true,
      active: 1,
    });
  });
});
