// What queues cost in statements, so that no cost grows unnoticed. The tick, twice a second, is not counted.
import { setTimeout as delay } from 'node:timers/promises';
import { Pawl } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { settled } from '../support/settled.ts';

// A tick that falls into a measurement finds the same work at the same moment. That does not happen every time.
describe('round trips of queues', { retry: 3 }, () => {
  let database: TestDatabase;
  let pawl: Pawl;
  let statements: string[] = [];
  let ticks = 0;

  beforeAll(async () => {
    database = await createDatabase();
    pawl = new Pawl({ database: database.url, logger: quiet });
    internals(pawl).events.on('statement', ({ text }) => {
      if (text.includes('pawl.tick(')) ticks++;
      else statements.push(/"?pawl\w*"?\.(\w+)\(/.exec(text)?.[1] ?? text.split(' ')[0] ?? '');
    });
    pawl.registerWorkflow(async (n: number) => n, { name: 'job' });
    pawl.registerQueue('plain');
    pawl.registerQueue('limited', { concurrency: 10, workerConcurrency: 5 });
    pawl.registerQueue('stopped');
    await pawl.launch();
    await pawl.pauseQueue('stopped');
  });
  afterAll(async () => {
    await pawl.shutdown({ graceSeconds: 0 });
    await database.drop();
  });

  /** What goes out while `work` runs, and until nothing else does. */
  async function sent(work: () => Promise<unknown>): Promise<string[]> {
    const mine: string[] = [];
    await settled(pawl, () => statements.length);
    statements = mine;
    await work();
    await settled(pawl, () => mine.length);
    statements = [];
    return mine;
  }

  const jobs = (count: number, queueName: string) =>
    Array.from({ length: count }, (_, n) => ({ workflow: 'job', args: [n], queueName }));

  test('a start in a queue takes 1, and the look whether it may begin 1', async () => {
    const all = await sent(() => pawl.startWorkflow('job', { queueName: 'stopped' })(1));
    expect(all).toEqual(['flush_one_enqueue', 'dispatch']);
  });

  test.each(['plain', 'limited'])(
    'from enqueue to result in the same process: queue %s',
    async (queueName) => {
      const all = await sent(async () => {
        const handle = await pawl.startWorkflow('job', { queueName })(1);
        await handle.getResult();
      });
      // Who waits is told in memory; the last is for the slot that is free again.
      expect(all).toEqual(['flush_one_enqueue', 'dispatch', 'flush_one_end', 'dispatch']);
    },
  );

  test('a thousand starts together are one transaction', async () => {
    const all = await sent(() => pawl.startWorkflows(jobs(1000, 'stopped')));
    expect(all).toEqual(['BEGIN', 'flush', 'COMMIT', 'dispatch']);
  });

  test('a batch is claimed in 1', async () => {
    const all = await sent(async () => pawl.waitAll(await pawl.startWorkflows(jobs(100, 'plain'))));
    const count = (what: string) => all.filter((text) => text === what).length;
    expect([count('COMMIT'), count('dispatch')]).toEqual([1, 2]);
    // Besides: the starts, their ends, the looks for a hundred results, and passing on that they are there.
    expect(all.length).toBeLessThanOrEqual(12);
  });

  test('an idle process ticks twice a second and sends nothing else, whatever waits', async () => {
    let seen = 0;
    const idle = async () => {
      ticks = 0;
      await delay(1600);
      seen = ticks;
    };
    expect(await sent(idle)).toEqual([]);
    expect(seen).toBeGreaterThanOrEqual(2);
    expect(seen).toBeLessThanOrEqual(5);
  });
});
