// openworkflow as a contender: on Postgres, as its manual recommends for production, with the backend's default pool; worker
// and caller in one process. Its manual has one start with a concurrency of 10 and tune: 100 drained a queue twice as fast.
// Its worker polls, every 100 ms to every second, and so does who waits for a result, every second: neither can be set.
// So 100 callers get 100 results a second at most, whatever the worker does. Where a rate is measured they look at the
// run by themselves, every 50 ms, which made it twice as fast.
import { setTimeout as delay } from 'node:timers/promises';
import { OpenWorkflow } from 'openworkflow';
import { BackendPostgres } from 'openworkflow/postgres';
import { withClient } from '../database.ts';
import type { WorkflowApp } from './workflow-app.ts';

export const concurrency = 100;

const pollMs = 50;

export async function launchOpenWorkflow(
  databaseUrl: string,
  purpose: 'latency' | 'rate',
): Promise<WorkflowApp> {
  const backend = await BackendPostgres.connect(databaseUrl);
  const app = new OpenWorkflow({ backend });
  const count = app.defineWorkflow<{ seed: number; steps: number }, number>(
    { name: 'count' },
    async ({ input: { seed, steps }, step }) => {
      let total = seed;
      for (let i = 0; i < steps; i++) {
        const next = total + i;
        total = await step.run({ name: 'add' }, () => next);
      }
      return total;
    },
  );
  const worker = app.newWorker({ concurrency });
  await worker.start();
  return {
    async count(seed, steps) {
      const handle = await count.run({ seed, steps });
      if (purpose === 'latency') return handle.result();
      for (;;) {
        const run = await backend.getWorkflowRun({ workflowRunId: handle.workflowRun.id });
        if (run?.status === 'completed') return Number(run.output);
        if (run?.status === 'failed') throw new Error(`Run ${run.id} failed: ${JSON.stringify(run.error)}`);
        await delay(pollMs);
      }
    },
    durable: () =>
      withClient(databaseUrl, async (client) => {
        const { rows } = await client.query<{ workflows: number; steps: number }>(
          `select (select count(*)::int from openworkflow.workflow_runs where status = 'completed') as workflows,
                  (select count(*)::int from openworkflow.step_attempts where status = 'completed') as steps`,
        );
        return rows[0] ?? { workflows: 0, steps: 0 };
      }),
    async close() {
      await worker.stop();
      await backend.stop();
    },
  };
}
