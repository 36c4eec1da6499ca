// DBOS as a contender, set up as its manual says for production: a system database of its own on Postgres,
// configured by setConfig before launch, everything else at its default. The default pool of 10 connections was
// the fastest of 10, 20 and 40 on two cores. LISTEN/NOTIFY is on by default.
import { DBOS } from '@dbos-inc/dbos-sdk';
import { withClient } from '../database.ts';
import type { WorkflowApp } from './workflow-app.ts';

export async function launchDbos(databaseUrl: string): Promise<WorkflowApp> {
  const count = DBOS.registerWorkflow(
    async (seed: number, steps: number) => {
      let total = seed;
      for (let i = 0; i < steps; i++) {
        const next = total + i;
        total = await DBOS.runStep(() => Promise.resolve(next), { name: 'add' });
      }
      return total;
    },
    { name: 'count' },
  );
  // One line of log per workflow would measure the terminal.
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl: databaseUrl, logLevel: 'warn' });
  await DBOS.launch();
  return {
    async count(seed, steps) {
      // As fast as calling the workflow directly, or faster.
      const handle = await DBOS.startWorkflow(count)(seed, steps);
      return handle.getResult();
    },
    durable: () =>
      withClient(databaseUrl, async (client) => {
        const { rows } = await client.query<{ workflows: number; steps: number }>(
          `select (select count(*)::int from dbos.workflow_status where status = 'SUCCESS') as workflows,
                  (select count(*)::int from dbos.operation_outputs) as steps`,
        );
        return rows[0] ?? { workflows: 0, steps: 0 };
      }),
    close: () => DBOS.shutdown(),
  };
}
