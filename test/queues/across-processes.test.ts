// What queues promise across processes and restarts: deduplication, delays, pauses, and a change of the definition.
import { expect, test } from 'vitest';
import { createFleet } from './fleet.ts';

test('a deduplication id is taken by one of many, until that one ends, whoever is killed meanwhile', async () => {
  await using fleet = await createFleet({ q: {} });
  const [a, b] = await Promise.all([fleet.start(), fleet.start()]);
  const start = (on: typeof a, workflowID: string) =>
    on.call('start', { name: 'held', workflowID, queueName: 'q', deduplicationID: 'one' });
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, i) => start(i % 2 === 0 ? a : b, `try-${i}`)),
  );
  const [winner = ''] = answers.filter((answer) => answer.startsWith('try-'));
  expect(answers.toSorted()).toEqual([...Array.from({ length: 9 }, () => 'QueueDuplicatedError'), winner]);
  expect(await fleet.sql('SELECT id FROM pawl.workflow')).toEqual([{ id: winner }]);
  await expect.poll(() => fleet.order()).toEqual([winner]);
  await fleet.kill(a);
  const c = await fleet.start();
  expect(await start(c, 'after-the-kill')).toBe('QueueDuplicatedError');
  await c.call('send', winner);
  await c.call('result', winner);
  expect(await start(b, 'next')).toBe('next');
});

test('a delay counts on while nobody is there, and is kept to by who comes', async () => {
  await using fleet = await createFleet({ q: {} });
  const first = await fleet.start();
  const job = (workflowID: string, delay: number | string) =>
    first.call('start', { name: 'job', workflowID, queueName: 'q', delay: delay as number });
  await job('over', 300);
  await job('later', 2500);
  await job('never', '1h');
  await job('earlier', '1h');
  await first.call('start', { name: 'job', workflowID: 'no-queue', delay: 300 });
  await fleet.kill(first);
  await expect
    .poll(() => fleet.sql(`SELECT 1 FROM pawl.workflow WHERE id = 'over' AND wake_at <= now()`))
    .toHaveLength(1);
  const second = await fleet.start();
  await second.call('result', 'over');
  await second.call('result', 'no-queue');
  await second.call('delay', 'earlier', 0);
  await second.call('result', 'earlier');
  await second.call('result', 'later');
  expect((await fleet.order()).toSorted()).toEqual(['earlier', 'later', 'no-queue', 'over']);
  const early = await fleet.sql(
    `SELECT id FROM pawl.workflow WHERE id <> 'earlier' AND started_at < created_at
       + CASE id WHEN 'later' THEN interval '2.5 seconds' ELSE interval '0.3 seconds' END`,
  );
  expect(early).toEqual([]);
});

test('a pause holds for every process, those that come later too; so does a new limit', async () => {
  await using fleet = await createFleet({ q: { concurrency: 1 } });
  const [a, b] = await Promise.all([fleet.start(), fleet.start()]);
  const ids = Array.from({ length: 12 }, (_, i) => `held-${i}`);
  const begun = () =>
    fleet.sql(`SELECT 1 FROM pawl.workflow WHERE status = 'PENDING'`).then((rows) => rows.length);
  await a.call(
    'startAll',
    ids.map((workflowID) => ({ name: 'held', workflowID, queueName: 'q' })),
  );
  await expect.poll(begun).toBe(1);
  await b.call('pause', 'q');
  // Registers the queue as it was, which does not end the pause.
  const c = await fleet.start();
  await c.call('send', 'held-0');
  await c.call('result', 'held-0');
  await a.call('define', 'q', { concurrency: 3 });
  // Later than any hint, and than a tick of each process.
  await c.call('start', { name: 'job', workflowID: 'sign', delay: 1200 });
  await c.call('result', 'sign');
  expect(await begun()).toBe(0);
  await c.call('resume', 'q');
  await expect.poll(begun).toBe(3);
  // Fewer than have begun: no other until enough of them have ended.
  await b.call('define', 'q', { concurrency: 2 });
  for (const [ended, left] of [
    ['held-1', 2],
    ['held-2', 2],
  ] as const) {
    await c.call('send', ended);
    await c.call('result', ended);
    await expect.poll(begun).toBe(left);
  }
  await Promise.all(ids.slice(3).map((id) => c.call('send', id)));
  await fleet.ended(13);
});
