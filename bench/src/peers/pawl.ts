// Pawl as a contender: the built package, default configuration, one process.
import { Pawl } from '@pawl/core';
import { withClient } from '../database.ts';
import type { WorkflowApp } from './workflow-app.ts';

export async function launchPawl(
  databaseUrl: string,
  { schema = 'pawl', embedded }: { schema?: string; embedded?: { dataDir: string } } = {},
): Promise<WorkflowApp> {
  const database = embedded ?? databaseUrl;
  const pawl = new Pawl({ name: 'bench', database, schema, logger: quietLogger });
  const app = countingApp(pawl, databaseUrl, schema);
  await pawl.launch();
  return app;
}

/** Registers the counting workflow; call it before the launch. */
export function countingApp(pawl: Pawl, databaseUrl: string, schema = 'pawl'): WorkflowApp {
  const count = pawl.registerWorkflow(
    async (seed: number, steps: number) => {
      let total = seed;
      for (let i = 0; i < steps; i++) {
        const next = total + i;
        total = await pawl.runStep(() => next, { name: 'add' });
      }
      return total;
    },
    { name: 'count' },
  );
  return {
    async count(seed, steps) {
      const handle = await pawl.startWorkflow(count)(seed, steps);
      return handle.getResult();
    },
    durable: () =>
      withClient(databaseUrl, async (client) => {
        const { rows } = await client.query<{ workflows: number; steps: number }>(
          `select (select count(*)::int from ${schema}.workflow where status = 'SUCCESS') as workflows,
                  (select count(*)::int from ${schema}.step where completed_at is not null) as steps`,
        );
        return rows[0] ?? { workflows: 0, steps: 0 };
      }),
    close: () => pawl.shutdown(),
  };
}

// Warnings and errors go to stderr, which the parent shows when a turn fails.
export const quietLogger = {
  debug: (): void => {},
  info: (): void => {},
  warn: (...args: unknown[]): void => console.warn(...args),
  error: (...args: unknown[]): void => console.error(...args),
};
