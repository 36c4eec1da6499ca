// DBOS's queue as a contender. It polls once a second, its default, which is what a lone workflow waits for. Without a
// limit a poll takes all that is queued; 100 or 500 at a time, polled every 50 ms, drained no faster by one process and
// slower by two. With a limit it polls every 50 ms, since it can take no more a poll than the limit.
import { DBOS } from '@dbos-inc/dbos-sdk';
import { durableRow, type QueueLimits, type QueuePeer, type WorkOptions } from './queue-peer.ts';

const queueName = 'bench';

export const dbosQueue: QueuePeer = {
  async work(databaseUrl, options) {
    const count = await launch(databaseUrl, options);
    return {
      async count(seed) {
        const handle = await DBOS.startWorkflow(count, { queueName })(seed);
        return handle.getResult();
      },
      close: () => DBOS.shutdown(),
    };
  },

  async produce(databaseUrl, limits) {
    const count = await launch(databaseUrl, { ...limits, listenQueues: [] });
    return {
      // It has no call for many.
      async enqueue(seeds) {
        await Promise.all(seeds.map((seed) => DBOS.startWorkflow(count, { queueName })(seed)));
      },
      close: () => DBOS.shutdown(),
    };
  },

  durable: (client) =>
    durableRow(
      client,
      `select count(*) filter (where status in ('ENQUEUED', 'PENDING')) as unfinished,
              count(*) filter (where status = 'SUCCESS') as ended,
              sum((output::json ->> 'json')::bigint) filter (where status = 'SUCCESS') as sum
       from dbos.workflow_status`,
    ),
};

/** It may be launched again in one process, but a name may not be registered again. */
let registered: ((seed: number) => Promise<number>) | undefined;
let observed: WorkOptions['observe'] = (body) => body();

async function launch(
  databaseUrl: string,
  {
    workerConcurrency,
    observe = (body) => body(),
    listenQueues,
  }: QueueLimits & Partial<WorkOptions> & { listenQueues?: [] },
): Promise<(seed: number) => Promise<number>> {
  observed = observe;
  const count = (registered ??= DBOS.registerWorkflow(
    (seed: number) => observed(() => DBOS.runStep(() => Promise.resolve(seed), { name: 'add' })),
    { name: 'count' },
  ));
  DBOS.setConfig({
    name: 'bench',
    systemDatabaseUrl: databaseUrl,
    logLevel: 'warn',
    ...(listenQueues === undefined ? {} : { listenQueues }),
  });
  await DBOS.launch();
  await DBOS.registerQueue(
    queueName,
    workerConcurrency === undefined ? {} : { workerConcurrency, minPollingIntervalMs: 50 },
  );
  return count;
}
