// Restate as a contender: its own server (processes/restate-server.ts), the workflow in this process, called through the
// server's ingress. One request starts a workflow under an id of its own and waits for the result; the client's
// workflowSubmit and workflowAttach would be two. It does not use Postgres.
import { randomUUID } from 'node:crypto';
import { workflow, type WorkflowContext } from '@restatedev/restate-sdk';
import { startRestate } from './restate-node.ts';
import type { WorkflowApp } from './workflow-app.ts';

interface Input {
  seed: number;
  steps: number;
}

export async function launchRestate(): Promise<WorkflowApp> {
  const count = workflow({
    name: 'count',
    handlers: {
      run: async (context: WorkflowContext, { seed, steps }: Input) => {
        let total = seed;
        for (let i = 0; i < steps; i++) {
          const next = total + i;
          total = await context.run('add', () => next);
        }
        return total;
      },
    },
  });
  const { ingress, query, serverPids, close } = await startRestate([count]);
  return {
    count: (seed, steps) =>
      ingress.call<Input, number>({
        service: count.name,
        handler: 'run',
        key: randomUUID(),
        parameter: { seed, steps },
      }),
    // The server's own tables: there is no other way to its rows.
    async durable() {
      const [workflows] = await query(
        `select count(*) as n from sys_invocation where status = 'completed' and completion_result = 'success'`,
      );
      const [steps] = await query(`select count(*) as n from sys_journal where entry_type = 'Command: Run'`);
      return { workflows: Number(workflows?.['n']), steps: Number(steps?.['n']) };
    },
    serverPids,
    close,
  };
}
