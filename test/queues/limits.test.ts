// The limits of queues while three processes run them and are killed at random: what the database's own times say.
// PAWL_QUEUE_SECONDS=60 goes on for a minute.
import type { QueueOptions } from '@pawl/core';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Program } from '../processes-suite/process.ts';
import { createFleet, mostAtOnce, mostWithin, observe } from './fleet.ts';
import type { Job, QueueWorker } from './processes/queue-worker.ts';

const SECONDS = Number(process.env['PAWL_QUEUE_SECONDS'] ?? 2);
const PROCESSES = 3;

const queues = {
  global: { concurrency: 4 },
  own: { workerConcurrency: 2 },
  rate: { rateLimit: { limit: 10, periodSeconds: 0.5 } },
  parts: { partitioned: true, partitionConcurrency: 2 },
  all: {
    concurrency: 6,
    workerConcurrency: 3,
    rateLimit: { limit: 20, periodSeconds: 1 },
    partitioned: true,
    partitionConcurrency: 3,
    priorityEnabled: true,
  },
} satisfies Record<string, QueueOptions>;

test('the checker sees what is over a limit', () => {
  expect(
    mostAtOnce([
      { from: 0, to: 2 },
      { from: 2, to: 3 },
      { from: 1, to: 2 },
    ]),
  ).toBe(2);
  expect(mostWithin([0, 400, 499, 500], 500)).toBe(3);
});

test(
  `three processes that are killed at random keep every limit for ${SECONDS} seconds`,
  { timeout: SECONDS * 4000 + 60_000 },
  async () => {
    await using fleet = await createFleet(queues, { parkAfterSeconds: 0 });
    let started = 0;
    const jobs = (count: number): Job[] =>
      Object.entries(queues).flatMap(([queueName, options]) =>
        Array.from({ length: count }, (): Job => {
          const n = started++;
          return {
            name: n % 7 === 0 ? 'sleeper' : 'job',
            ms: n % 7 === 0 ? 100 : 5 + (n % 5) * 15,
            queueName,
            ...('partitioned' in options && { partitionKey: `p${n % 4}` }),
            ...(n % 3 === 0 && { priority: n % 10 }),
            ...(n % 11 === 0 && { delay: n % 300 }),
          };
        }),
      );
    const programs: Program<QueueWorker>[] = await Promise.all(
      Array.from({ length: PROCESSES }, () => fleet.start()),
    );
    await programs[0]?.call('startAll', jobs(40));
    const end = performance.now() + SECONDS * 1000;
    for (let round = 0; performance.now() < end; round++) {
      await pause(200 + Math.random() * 1200);
      const victim = Math.floor(Math.random() * PROCESSES);
      // Those that are started by a process that dies exist, or do not.
      programs[victim]?.call('startAll', jobs(5)).catch(() => {});
      await pause(Math.random() * 30);
      await fleet.kill(programs[victim] as Program<QueueWorker>);
      programs[victim] = await fleet.start();
      await programs[victim].call('startAll', jobs(10));
    }
    await expect
      .poll(
        async () =>
          fleet.sql(
            `SELECT queue_name, status, count(*)::integer AS n FROM pawl.workflow WHERE status <> 'SUCCESS' GROUP BY 1, 2`,
          ),
        { timeout: SECONDS * 3000 + 30_000, interval: 100 },
      )
      .toEqual([]);

    for (const [name, options] of Object.entries<QueueOptions>(queues)) {
      const seen = await observe(fleet, name);
      const { concurrency, workerConcurrency, rateLimit, partitionConcurrency } = options;
      expect(seen.starts.length).toBeGreaterThanOrEqual(40);
      // Used to the full, and kept.
      const full = name !== 'all';
      const within = (most: number, limit: number) =>
        full ? expect(most, name).toBe(limit) : expect(most, name).toBeLessThanOrEqual(limit);
      if (concurrency !== undefined) {
        within(seen.atOnce, concurrency);
        expect(seen.bodies, name).toBeLessThanOrEqual(concurrency);
      }
      if (workerConcurrency !== undefined) within(seen.perProcess, workerConcurrency);
      if (rateLimit !== undefined)
        within(mostWithin(seen.starts, rateLimit.periodSeconds * 1000), rateLimit.limit);
      if (partitionConcurrency !== undefined) {
        within(seen.perPartition, partitionConcurrency);
        expect(seen.bodiesPerPartition, name).toBeLessThanOrEqual(partitionConcurrency);
      }
    }
  },
);
