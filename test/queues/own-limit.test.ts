// The limit of a process where many come back to it at once, and a change of what a queue goes by.
import { describeEachDriver } from '@pawl/test-support/drivers';
import { expect, test } from 'vitest';

describeEachDriver('a queue', (driver) => {
  // A workflow wakes up after another: not on both.
  (driver.server ? test : test.skip)(
    'of which hundreds wake up at once keeps to the limit of the process, and does not hold up others',
    async () => {
      const pawl = driver.create({ parkAfterSeconds: 0 });
      const order: string[] = [];
      let now = 0;
      let most = 0;
      const sleeper = pawl.registerWorkflow(
        async (kind: string) => {
          await pawl.recv('never', kind === 'queued' ? 1.5 : 1.6);
          most = Math.max(most, kind === 'queued' ? ++now : now);
          order.push(kind);
          await pawl.runStep(() => new Promise((resolve) => setImmediate(resolve)), { name: 'work' });
          if (kind === 'queued') now--;
        },
        { name: 'sleeper' },
      );
      pawl.registerQueue('sleepers', { workerConcurrency: 2 });
      await pawl.launch();
      const starts = (count: number, kind: string, queueName?: string) =>
        Array.from({ length: count }, () => ({
          workflow: sleeper,
          args: [kind],
          ...(queueName !== undefined && { queueName }),
        }));
      const handles = await pawl.startWorkflows([
        ...starts(210, 'queued', 'sleepers'),
        ...starts(5, 'other'),
      ]);
      await pawl.waitAll(handles);
      expect(most).toBe(2);
      expect(order).toHaveLength(215);
      // Not all of the queue first.
      expect(order.slice(0, order.lastIndexOf('other')).length).toBeLessThan(150);
    },
  );

  test('that gets priorities orders what waits by them, and by arrival again without them', async () => {
    const pawl = driver.create();
    const ran: string[] = [];
    const note = pawl.registerWorkflow(
      async (value: string) => {
        ran.push(value);
      },
      { name: 'note' },
    );
    pawl.registerQueue('q', { concurrency: 1 });
    await pawl.launch();
    const wave = async (before: boolean, after: boolean) => {
      pawl.registerQueue('q', { concurrency: 1, priorityEnabled: before });
      await pawl.pauseQueue('q');
      const handles = await pawl.startWorkflows(
        [2, 1, 3].map((priority) => ({ workflow: note, args: [`${priority}`], queueName: 'q', priority })),
      );
      pawl.registerQueue('q', { concurrency: 1, priorityEnabled: after });
      await pawl.resumeQueue('q');
      await pawl.waitAll(handles);
      return ran.splice(0);
    };
    expect(await wave(false, true)).toEqual(['1', '2', '3']);
    expect(await wave(true, false)).toEqual(['2', '1', '3']);
  });
});
