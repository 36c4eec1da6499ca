// The order in which queues begin what waits in them: priority, then first in, first out, through a restart; partitions
// and queues in turn, however long the others are.
import { expect, test } from 'vitest';
import { copyWorkflow } from '@pawl/test-support';
import { createFleet, type Fleet } from './fleet.ts';

/** As many like the one that waits already, behind it. */
const fill = (fleet: Fleet, from: string, count: number) =>
  copyWorkflow(async (text) => ({ rows: await fleet.sql(text) }), { from, prefix: from, count });

test('one at a time: by priority, then first in, first out, also where the process is killed in the middle', async () => {
  await using fleet = await createFleet({ single: { concurrency: 1, priorityEnabled: true } });
  const first = await fleet.start();
  await first.call('pause', 'single');
  const priorities = Array.from({ length: 40 }, (_, i) => (i * 7) % 5);
  await first.call(
    'startAll',
    priorities.map((priority, i) => ({
      name: 'job' as const,
      ms: 5,
      workflowID: `${priority}/${String(i).padStart(2, '0')}`,
      queueName: 'single',
      priority,
    })),
  );
  await first.call('resume', 'single');
  await expect.poll(async () => (await fleet.order()).length, { interval: 2 }).toBeGreaterThan(10);
  await fleet.kill(first);
  expect((await fleet.order()).length).toBeLessThan(40);
  await fleet.start();
  await fleet.ended(40);
  const order = await fleet.order();
  expect(order).toHaveLength(40);
  expect(order).toEqual([...order].sort());
});

test('ten short partitions are served beside one of 100,000', async () => {
  await using fleet = await createFleet({ tenants: { partitioned: true, concurrency: 20 } });
  const worker = await fleet.start();
  await worker.call('pause', 'tenants');
  const job = (id: string, partitionKey: string) => ({
    name: 'job' as const,
    workflowID: id,
    queueName: 'tenants',
    partitionKey,
  });
  await worker.call('startAll', [job('big', 'm')]);
  await fill(fleet, 'big', 100_000);
  const small = Array.from({ length: 100 }, (_, i) => job(`small-${i}`, `${'abcdefwxyz'[i % 10]}`));
  await worker.call('startAll', small);
  await worker.call('resume', 'tenants');
  await Promise.all(small.map(({ workflowID }) => worker.call('result', workflowID)));
  const order = await fleet.order();
  const before = order.slice(
    0,
    order.findLastIndex((id) => id.startsWith('small')),
  );
  // A turn of the big one for each of theirs, and what was begun in the same claim.
  expect(before.filter((id) => id.startsWith('big')).length).toBeLessThan(60);
});

test.each([
  ['many', {}],
  ['few', { concurrency: 2 }],
])('a queue with a long backlog does not hold up another one, with %s slots', async (_, options) => {
  await using fleet = await createFleet({ a: options, b: options, c: options });
  const worker = await fleet.start();
  for (const name of ['a', 'b', 'c']) await worker.call('pause', name);
  const job = (id: string, queueName: string) => ({ name: 'job' as const, workflowID: id, queueName, ms: 5 });
  await worker.call('startAll', [job('a', 'a'), job('c', 'c')]);
  await fill(fleet, 'a', 5000);
  await fill(fleet, 'c', 5000);
  const few = Array.from({ length: 40 }, (_, i) => job(`b-${i}`, 'b'));
  await worker.call('startAll', few);
  for (const name of ['a', 'c', 'b']) await worker.call('resume', name);
  await Promise.all(few.map(({ workflowID }) => worker.call('result', workflowID)));
  const order = await fleet.order();
  expect(
    order.slice(
      0,
      order.findLastIndex((id) => id.startsWith('b')),
    ).length,
  ).toBeLessThan(1500);
});
