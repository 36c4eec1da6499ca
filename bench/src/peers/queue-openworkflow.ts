// openworkflow's queue as a contender: every workflow goes through it. Set up as in openworkflow.ts.
import { OpenWorkflow } from 'openworkflow';
import { BackendPostgres } from 'openworkflow/postgres';
import { concurrency } from './openworkflow.ts';
import { durableRow, type QueuePeer } from './queue-peer.ts';

const spec = { name: 'count' };

export const openWorkflowQueue: QueuePeer = {
  async work(databaseUrl, { workerConcurrency = concurrency, observe }) {
    const backend = await BackendPostgres.connect(databaseUrl);
    const app = new OpenWorkflow({ backend });
    const count = app.defineWorkflow<{ seed: number }, number>(spec, ({ input: { seed }, step }) =>
      observe(() => step.run({ name: 'add' }, () => seed)),
    );
    const worker = app.newWorker({ concurrency: workerConcurrency });
    await worker.start();
    return {
      async count(seed) {
        const handle = await count.run({ seed });
        return handle.result();
      },
      async close() {
        await worker.stop();
        await backend.stop();
      },
    };
  },

  async produce(databaseUrl) {
    const backend = await BackendPostgres.connect(databaseUrl);
    const app = new OpenWorkflow({ backend });
    return {
      // It has no call for many.
      async enqueue(seeds) {
        await Promise.all(seeds.map((seed) => app.runWorkflow(spec, { seed })));
      },
      close: () => backend.stop(),
    };
  },

  durable: (client) =>
    durableRow(
      client,
      `select count(*) filter (where status in ('pending', 'running', 'sleeping')) as unfinished,
              count(*) filter (where status = 'completed') as ended,
              sum(output::bigint) filter (where status = 'completed') as sum
       from openworkflow.workflow_runs`,
    ),
};
