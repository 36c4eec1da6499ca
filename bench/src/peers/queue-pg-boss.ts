// pg-boss as a contender, version 10: the last one for Node 20. Plain jobs without steps; one that is taken alone has a
// result. It polls: every 500 ms here, which is the least that it takes; its default is 2 s. Its manual's notifyWorker,
// which ends the wait between two polls, reaches only the workers of one process: so it is of no use to who enqueues, and
// only a worker that found a full batch calls it. For a backlog 4 workers take 100 at a time: 1 worker was slower, and so
// were batches of 500 and 2,000, which cost the server more per job.
import { setTimeout as delay } from 'node:timers/promises';
import PgBoss from 'pg-boss';
import { durableRow, type QueuePeer } from './queue-peer.ts';

const queueName = 'count';

interface Data {
  seed: number;
}

const forBacklogs = { workers: 4, batchSize: 100 };
const forOne = { workers: 1, batchSize: 1 };

export const pgBossQueue: QueuePeer = {
  async work(databaseUrl, { purpose, observe }) {
    const boss = await open(databaseUrl);
    const { workers, batchSize } = purpose === 'rate' ? forBacklogs : forOne;
    for (let n = 0; n < workers; n++) {
      const id: string = await boss.work<Data>(
        queueName,
        { batchSize, pollingIntervalSeconds: 0.5 },
        async (jobs) => {
          const results = await Promise.all(
            jobs.map(({ data }) => observe(() => Promise.resolve(data.seed))),
          );
          if (batchSize > 1 && jobs.length === batchSize) boss.notifyWorker(id);
          return results[0];
        },
      );
    }
    return {
      async count(seed) {
        const id = await boss.send(queueName, { seed });
        if (id === null) throw new Error('A job was not taken.');
        // It has no call that waits.
        for (;;) {
          const job = await boss.getJobById(queueName, id);
          if (job?.state === 'completed') return Number((job.output as { value: unknown }).value);
          if (job?.state === 'failed') throw new Error(`Job ${id} failed: ${JSON.stringify(job.output)}`);
          await delay(10);
        }
      },
      close: () => boss.stop({ graceful: false }),
    };
  },

  async produce(databaseUrl) {
    const boss = await open(databaseUrl);
    return {
      enqueue: (seeds) => boss.insert(seeds.map((seed) => ({ name: queueName, data: { seed } }))),
      close: () => boss.stop({ graceful: false }),
    };
  },

  // A batch leaves no results.
  durable: (client) =>
    durableRow(
      client,
      `select count(*) filter (where state < 'completed') as unfinished,
              count(*) filter (where state = 'completed') as ended
       from pgboss.job where name = '${queueName}'`,
    ),
};

async function open(databaseUrl: string): Promise<PgBoss> {
  const boss = new PgBoss(databaseUrl);
  boss.on('error', (error) => console.error(error));
  await boss.start();
  await boss.createQueue(queueName);
  return boss;
}
