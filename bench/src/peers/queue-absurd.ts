// absurd as a contender. Its worker polls, and so does who waits for a result: at 10 ms here, where the defaults are 250
// and 50. The manual says nothing on speed; a worker has 100 tasks under way, taken up to 100 at a time.
// The npm package does not hold its tables and functions: ABSURD_SQL names the absurd.sql of the same release.
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Absurd } from 'absurd-sdk';
import { withClient } from '../database.ts';
import { quietLogger } from './pawl.ts';
import { durableRow, type QueuePeer } from './queue-peer.ts';
import { absurdSchema } from './installed-apart.ts';

const queueName = 'bench';
const task = 'count';
const pollMs = 10;

export const absurdQueue: QueuePeer = {
  async work(databaseUrl, { workerConcurrency = 100, observe }) {
    const app = await open(databaseUrl);
    app.registerTask<{ seed: number }, number>({ name: task }, ({ seed }, context) =>
      observe(() => context.step('add', () => Promise.resolve(seed))),
    );
    await app.startWorker({ concurrency: workerConcurrency, pollInterval: pollMs / 1000 });
    return {
      async count(seed) {
        const { taskID } = await app.spawn(task, { seed });
        for (;;) {
          const found = await app.fetchTaskResult(taskID);
          if (found?.state === 'completed') return Number(found.result);
          if (found?.state === 'failed') throw new Error(`Task ${taskID} failed.`);
          await delay(pollMs);
        }
      },
      close: () => app.close(),
    };
  },

  async produce(databaseUrl) {
    const app = await open(databaseUrl);
    return {
      // It has no call for many.
      async enqueue(seeds) {
        await Promise.all(seeds.map((seed) => app.spawn(task, { seed }, { queue: queueName })));
      },
      close: () => app.close(),
    };
  },

  durable: (client) =>
    durableRow(
      client,
      `select count(*) filter (where state in ('pending', 'running')) as unfinished,
              count(*) filter (where state = 'completed') as ended,
              sum((completed_payload #>> '{}')::bigint) filter (where state = 'completed') as sum
       from absurd.t_${queueName}`,
    ),
};

async function open(databaseUrl: string): Promise<Absurd> {
  await withClient(databaseUrl, async (client) => {
    const { rowCount } = await client.query(`select from pg_namespace where nspname = 'absurd'`);
    if (rowCount === 0) await client.query(await readFile(absurdSchema(), 'utf8'));
  });
  const app = new Absurd({
    db: databaseUrl,
    queueName,
    log: { ...quietLogger, log: quietLogger.info },
  });
  await app.createQueue(queueName);
  return app;
}
