// What a start in a queue may say, on both drivers: order, delays, duplicates, refusals, batches, starts from SQL.
import {
  NonExistentWorkflowError,
  type Pawl,
  QueueDuplicatedError,
  UnknownQueueError,
  ValidationError,
} from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { expect, test } from 'vitest';

/** A workflow that notes its argument, and one that ends when it is let go. */
function workflows(pawl: Pawl) {
  const ran: unknown[] = [];
  const note = pawl.registerWorkflow(
    async (value: unknown) => {
      ran.push(value);
      return value;
    },
    { name: 'note' },
  );
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const hold = pawl.registerWorkflow(
    async () => {
      await pawl.runStep(() => gate, { name: 'gate' });
    },
    { name: 'hold' },
  );
  return { ran, note, hold, open };
}

describeEachDriver('queues', (driver) => {
  test('what is started in a queue runs, and says so', async () => {
    const pawl = driver.create();
    const { note } = workflows(pawl);
    pawl.registerQueue('plain');
    await pawl.launch();
    const handle = await pawl.startWorkflow(note, { queueName: 'plain', workflowID: 'a' })(7);
    expect(await handle.getResult()).toBe(7);
    expect(await handle.getStatus()).toMatchObject({ status: 'SUCCESS', queueName: 'plain', priority: 0 });
    // The same id again is the same workflow.
    const again = await pawl.startWorkflow(note, { queueName: 'plain', workflowID: 'a' })(8);
    expect(await again.getResult()).toBe(7);
  });

  test('one at a time: by priority, then first in, first out', async () => {
    const pawl = driver.create();
    const { note, hold, open, ran } = workflows(pawl);
    pawl.registerQueue('single', { concurrency: 1, priorityEnabled: true });
    await pawl.launch();
    const held = await pawl.startWorkflow(hold, { queueName: 'single' })();
    await expect.poll(async () => (await held.getStatus())?.status).toBe('PENDING');
    const order = [5, 1, 3, 1, 0, 5];
    const handles = await pawl.startWorkflows(
      order.map((priority, i) => ({
        workflow: note,
        args: [`${priority}/${i}`],
        queueName: 'single',
        priority,
      })),
    );
    expect((await pawl.listQueues())[0]).toMatchObject({ name: 'single', queued: 6, running: 1 });
    await pawl.setWorkflowPriority(handles[5]?.workflowID as string, -1);
    open();
    await pawl.waitAll(handles);
    expect(ran).toEqual(['5/5', '0/4', '1/1', '1/3', '3/2', '5/0']);
  });

  test('a delay is kept, changed and taken back, with and without a queue', async () => {
    const pawl = driver.create();
    const { note, ran } = workflows(pawl);
    pawl.registerQueue('later');
    await pawl.launch();
    const before = Date.now();
    const soon = await pawl.startWorkflow(note, { delay: '300ms' })('soon');
    const queued = await pawl.startWorkflow(note, { delay: '200ms', queueName: 'later' })('queued');
    const late = await pawl.startWorkflow(note, { delay: '1d', queueName: 'later' })('late');
    expect((await soon.getStatus())?.status).toBe('DELAYED');
    expect((await pawl.listQueuedWorkflows({ queueName: 'later' })).workflows).toHaveLength(2);
    await pawl.waitAll([soon, queued]);
    expect(Date.now() - before).toBeGreaterThanOrEqual(295);
    expect(new Set(ran)).toEqual(new Set(['queued', 'soon']));
    expect((await late.getStatus())?.status).toBe('DELAYED');
    await pawl.setWorkflowDelay(late.workflowID, 0);
    expect(await late.getResult()).toBe('late');
  });

  test('a deduplication id is taken until its workflow ends', async () => {
    const pawl = driver.create();
    const { note, hold, open } = workflows(pawl);
    pawl.registerQueue('once');
    await pawl.launch();
    const params = { queueName: 'once', deduplicationID: 'customer-7' };
    const first = await pawl.startWorkflow(hold, params)();
    const refusal = await pawl
      .startWorkflow(note, { ...params, workflowID: 'second' })(1)
      .catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(QueueDuplicatedError);
    expect(refusal).toMatchObject({ workflowID: 'second', existingWorkflowID: first.workflowID });
    expect(await pawl.getWorkflowStatus('second')).toBeNull();
    // Its own id again is no duplicate of itself.
    await pawl.startWorkflow(hold, { ...params, workflowID: first.workflowID })();
    open();
    await first.getResult();
    expect(await (await pawl.startWorkflow(note, params)(2)).getResult()).toBe(2);
  });

  test('what cannot be is refused, and nothing is written', async () => {
    const pawl = driver.create();
    const { note } = workflows(pawl);
    pawl.registerQueue('parts', { partitioned: true });
    pawl.registerQueue('whole');
    await pawl.launch();
    const refused = async (params: object, error: RegExp | (new (...args: never[]) => Error)) => {
      await expect(pawl.startWorkflow(note, { workflowID: 'never', ...params })(1)).rejects.toThrow(error);
      expect(await pawl.getWorkflowStatus('never')).toBeNull();
    };
    await refused({ queueName: 'nowhere' }, UnknownQueueError);
    await refused({ queueName: 'parts' }, /partitioned: give startWorkflow\(\) a partitionKey/);
    await refused({ queueName: 'whole', partitionKey: 'a' }, ValidationError);
    await refused({ deduplicationID: 'x' }, /queueName/);
    await refused({ queueName: 'whole', priority: 0.5 }, ValidationError);
    await refused({ queue: 'whole' }, /no option "queue". The options are workflowID/);
    await refused({ queueName: 'whole', delay: 'soon' }, /delay must be a number/);
    await expect(
      pawl.startWorkflows([
        { workflow: note, args: [1], workflowID: 'good', queueName: 'whole' },
        { workflow: note, args: [1], workflowID: 'bad', queueName: 'nowhere' },
      ]),
    ).rejects.toThrow(UnknownQueueError);
    // Left out unsaid, it would be there although that transaction is rolled back.
    const within = { workflow: note, workflowID: 'good', transaction: { query: async () => ({ rows: [] }) } };
    await expect(pawl.startWorkflows([within])).rejects.toThrow(/transaction/);
    // A text would be taken for as many arguments as it has letters.
    const spread = { workflow: note, args: 'abc' as unknown as [] };
    await expect(
      pawl.startWorkflows([{ workflow: note, args: [1], workflowID: 'good' }, spread]),
    ).rejects.toThrow(
      'args of start 1 of startWorkflows() must be an array of the arguments, such as [value], not "abc".',
    );
    await refused({ queueName: 'whole', priority: '1' }, /32 bits, not "1"\./);
    expect(await pawl.getWorkflowStatus('good')).toBeNull();
    await expect(pawl.pauseQueue('nowhere')).rejects.toThrow(UnknownQueueError);
    await expect(pawl.setWorkflowDelay('nobody', 1)).rejects.toThrow(NonExistentWorkflowError);
    for (const options of [
      { concurrency: 0 },
      { rateLimit: { limit: 1, periodSeconds: 0 } },
      { rateLimit: { limit: 1, periodSeconds: 1e13 } },
      { partitionConcurrency: 2 },
      { limit: 2 },
    ])
      expect(() => pawl.registerQueue('bad', options as object)).toThrow(/bad|limit/);
  });

  test('a paused queue holds what it has; a live change applies', async () => {
    const pawl = driver.create();
    const { note, hold, open } = workflows(pawl);
    pawl.registerQueue('tap', { concurrency: 1 });
    await pawl.launch();
    await pawl.pauseQueue('tap');
    const held = await pawl.startWorkflow(hold, { queueName: 'tap' })();
    const next = await pawl.startWorkflow(note, { queueName: 'tap' })('next');
    expect((await pawl.listQueues())[0]).toMatchObject({ paused: true, queued: 2, running: 0 });
    await pawl.resumeQueue('tap');
    await expect.poll(async () => (await held.getStatus())?.status).toBe('PENDING');
    expect((await next.getStatus())?.status).toBe('ENQUEUED');
    pawl.registerQueue('tap', { concurrency: 2 });
    expect(await next.getResult()).toBe('next');
    open();
    await held.getResult();
  });

  test('children in a queue, and all of a batch, are recorded once', async () => {
    const pawl = driver.create();
    const { note } = workflows(pawl);
    pawl.registerQueue('children', { concurrency: 2 });
    const parent = pawl.registerWorkflow(
      async () => {
        const one = await pawl.startWorkflow(note, { queueName: 'children' })('one');
        const more = await pawl.startWorkflows(
          ['two', 'three'].map((arg) => ({ workflow: note, args: [arg], queueName: 'children' })),
        );
        const wrong = await pawl
          .startWorkflow(note, { queueName: 'nowhere' })('four')
          .catch((error: Error) => error.name);
        return [...(await pawl.waitAll([one, ...more])), wrong];
      },
      { name: 'parent' },
    );
    await pawl.launch();
    const handle = await pawl.startWorkflow(parent, { workflowID: 'p' })();
    expect(await handle.getResult()).toEqual(['one', 'two', 'three', 'UnknownQueueError']);
    expect((await pawl.listWorkflows({ parentWorkflowID: 'p' })).workflows.map((w) => w.workflowID)).toEqual([
      'p-0',
      'p-1',
      'p-2',
    ]);
    const fork = await pawl.forkWorkflow('p', 100);
    expect(await fork.getResult()).toEqual(['one', 'two', 'three', 'UnknownQueueError']);
  });

  test('a large batch, some of whose ids are taken or waited for, starts the others in order, and itself once', async () => {
    const pawl = driver.create();
    const { note, ran } = workflows(pawl);
    pawl.registerQueue('single', { concurrency: 1 });
    await pawl.launch();
    await pawl.pauseQueue('single');
    const listen = pawl.registerWorkflow(async () => pawl.recv('word', 600), { name: 'listen' });
    const taken = [3, 17];
    for (const n of taken) await pawl.startWorkflow(note, { queueName: 'single', workflowID: `n-${n}` })(n);
    await pawl.send('n-40', 'kept', 'word', { onMissing: 'park' });
    const batch = Array.from({ length: 41 }, (_, n) => ({
      workflow: n === 40 ? listen : note,
      args: n === 40 ? [] : [n],
      queueName: 'single',
      workflowID: `n-${n}`,
    }));
    const handles = await pawl.startWorkflows(batch);
    await pawl.startWorkflows(batch);
    await expect(
      pawl.startWorkflows([...batch.slice(0, 20), { workflow: note, queueName: 'nowhere' }]),
    ).rejects.toThrow(UnknownQueueError);
    expect((await pawl.listWorkflows()).workflows).toHaveLength(41);
    await pawl.resumeQueue('single');
    expect(await pawl.waitAll(handles)).toEqual([...Array.from({ length: 40 }, (_, n) => n), 'kept']);
    const others = Array.from({ length: 40 }, (_, n) => n).filter((n) => !taken.includes(n));
    expect(ran).toEqual([...taken, ...others]);
  });

  test('a cancelled one leaves its queue; a resumed one passes it by', async () => {
    const pawl = driver.create();
    const { note, hold, open } = workflows(pawl);
    pawl.registerQueue('single', { concurrency: 1 });
    await pawl.launch();
    const held = await pawl.startWorkflow(hold, { queueName: 'single' })();
    await expect.poll(async () => (await held.getStatus())?.status).toBe('PENDING');
    const next = await pawl.startWorkflow(note, { queueName: 'single' })('next');
    await next.cancel();
    expect(await next.getStatus()).toMatchObject({ status: 'CANCELLED' });
    await pawl.resumeWorkflow(next.workflowID);
    expect(await next.getResult()).toBe('next');
    open();
    await held.getResult();
  });

  test('a timeout counts from the moment it begins', async () => {
    const pawl = driver.create();
    const { note, hold, open } = workflows(pawl);
    pawl.registerQueue('single', { concurrency: 1 });
    await pawl.launch();
    const held = await pawl.startWorkflow(hold, { queueName: 'single' })();
    await expect.poll(async () => (await held.getStatus())?.status).toBe('PENDING');
    const next = await pawl.startWorkflow(note, { queueName: 'single', timeout: '1h' })('next');
    expect(await next.getStatus()).toMatchObject({ timeoutMs: 3_600_000, deadline: null });
    open();
    await next.getResult();
    expect((await next.getStatus())?.deadline).toBeGreaterThan(Date.now() + 3_500_000);
  });

  test('started from SQL', async () => {
    const pawl = driver.create({ schema: driver.freshSchema() });
    workflows(pawl);
    pawl.registerQueue('sql');
    await pawl.launch();
    const schema = (
      await driver.sql<{ s: string }>(
        `SELECT quote_ident(nspname) AS s FROM pg_namespace n JOIN pg_proc p ON p.pronamespace = n.oid WHERE p.proname = 'dispatch' ORDER BY n.oid DESC LIMIT 1`,
      )
    )[0]?.s;
    const [row] = await driver.sql<{ id: string }>(
      `SELECT ${schema}.start('note', '[{"deep": [1, null]}]', queue => 'sql') AS id`,
    );
    expect(await pawl.retrieveWorkflow(row?.id as string).getResult()).toEqual({ deep: [1, null] });
    await driver.sql(`SELECT ${schema}.start('note', '["x"]', workflow_id => 'by-sql', delay => '10 ms')`);
    expect(await pawl.retrieveWorkflow('by-sql').getResult()).toBe('x');
    for (const [args, message] of [
      [`'note', '[]', queue => 'nowhere'`, /queue "nowhere" does not exist/],
      [`'note', '{}'`, /must be a JSON array/],
      [`'other', '[]', workflow_id => 'by-sql'`, /belongs to a workflow "note"/],
    ] as const)
      await expect(driver.sql(`SELECT ${schema}.start(${args})`)).rejects.toThrow(message);
  });

  test('in the caller’s transaction: exists if and only if that commits', async () => {
    const pawl = driver.create();
    const { note } = workflows(pawl);
    pawl.registerQueue('tx');
    await pawl.launch();
    const start = (id: string, after: () => void) =>
      driver.transaction(async (transaction) => {
        await pawl.startWorkflow(note, { workflowID: id, queueName: 'tx', transaction })(id);
        after();
      });
    await start('kept', () => {});
    await expect(
      start('dropped', () => {
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await pawl.retrieveWorkflow('kept').getResult()).toBe('kept');
    expect(await pawl.getWorkflowStatus('dropped')).toBeNull();
  });
});
