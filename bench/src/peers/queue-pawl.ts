// Pawl's queue as a contender: a queue without limits unless the scenario sets one, everything else at its default.
import { Pawl, type Workflow } from '@pawl/core';
import { quietLogger } from './pawl.ts';
import { durableRow, type QueueLimits, type QueuePeer, type WorkOptions } from './queue-peer.ts';

const queueName = 'bench';

export const pawlQueue: QueuePeer = {
  async work(databaseUrl, options) {
    const { pawl, count } = await launch(databaseUrl, options);
    return {
      async count(seed) {
        const handle = await pawl.startWorkflow(count, { queueName })(seed);
        return handle.getResult();
      },
      pausing: {
        pause: () => pawl.pauseQueue(queueName),
        resume: () => pawl.resumeQueue(queueName),
      },
      close: () => pawl.shutdown(),
    };
  },

  async produce(databaseUrl, limits) {
    const { pawl, count } = await launch(databaseUrl, { ...limits, queues: [] });
    return {
      async enqueue(seeds) {
        await pawl.startWorkflows(seeds.map((seed) => ({ workflow: count, args: [seed], queueName })));
      },
      close: () => pawl.shutdown(),
    };
  },

  durable: (client) =>
    durableRow(
      client,
      `select count(*) filter (where status in ('ENQUEUED', 'PENDING')) as unfinished,
              count(*) filter (where status = 'SUCCESS') as ended,
              sum(output::bigint) filter (where status = 'SUCCESS') as sum
       from pawl.workflow`,
    ),
};

async function launch(
  databaseUrl: string,
  {
    workerConcurrency,
    observe = (body) => body(),
    queues,
  }: QueueLimits & Partial<WorkOptions> & { queues?: [] },
): Promise<{ pawl: Pawl; count: Workflow<[number], number> }> {
  const pawl = new Pawl({
    name: 'bench',
    database: databaseUrl,
    logger: quietLogger,
    ...(queues === undefined ? {} : { queues }),
  });
  const count = pawl.registerWorkflow(
    (seed: number) => observe(() => pawl.runStep(() => seed, { name: 'add' })),
    { name: 'count' },
  );
  pawl.registerQueue(queueName, workerConcurrency === undefined ? {} : { workerConcurrency });
  await pawl.launch();
  return { pawl, count };
}
