// graphile-worker as a contender: plain jobs without steps or results, so what it does for a job is less than what the
// others do for a workflow. One job after another: default settings, where LISTEN wakes it. A backlog: the settings of the
// manual's page on performance, https://worker.graphile.org/docs/performance.
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import { durableRow, type QueuePeer } from './queue-peer.ts';

const identifier = 'count';
// It writes a line for each job, and that would measure the terminal.
const logger = new Logger(() => () => {});

const forBacklogs = {
  concurrentJobs: 24,
  maxPoolSize: 25,
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};

export const graphileQueue: QueuePeer = {
  async work(databaseUrl, { purpose, workerConcurrency, observe }) {
    const callers = new Map<number, (seed: number) => void>();
    const settings = purpose === 'rate' ? forBacklogs : {};
    const concurrency = workerConcurrency === undefined ? {} : { concurrentJobs: workerConcurrency };
    const runner = await run({
      preset: { worker: { connectionString: databaseUrl, logger, ...settings, ...concurrency } },
      noHandleSignals: true,
      parsedCronItems: [],
      taskList: { [identifier]: (payload) => observe(() => Promise.resolve(seedOf(payload))).then(() => {}) },
    });
    // Emitted when the job has run and the deletion of its row is under way.
    runner.events.on('job:complete', ({ job }) => {
      const seed = seedOf(job.payload);
      callers.get(seed)?.(seed);
    });
    return {
      async count(seed) {
        const completed = new Promise<number>((resolve) => callers.set(seed, resolve));
        await runner.addJob(identifier, { seed });
        const value = await completed;
        callers.delete(seed);
        return value;
      },
      close: () => runner.stop(),
    };
  },

  async produce(databaseUrl) {
    const utils = await makeWorkerUtils({ connectionString: databaseUrl, logger });
    await utils.migrate();
    return {
      async enqueue(seeds) {
        await utils.addJobs(seeds.map((seed) => ({ identifier, payload: { seed } })));
      },
      close: async () => {
        await utils.release();
      },
    };
  },

  // An ended job is a row that is gone.
  durable: (client) => durableRow(client, 'select count(*) as unfinished from graphile_worker._private_jobs'),
};

function seedOf(payload: unknown): number {
  return (payload as { seed: number }).seed;
}
