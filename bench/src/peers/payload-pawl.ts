// Pawl with a workflow of one step that returns a text of some length. Default configuration.
import { Pawl } from '@pawl/core';
import { withClient } from '../database.ts';
import { quietLogger } from './pawl.ts';

export interface PayloadApp {
  /** Runs one whose step returns `text`, and gives how many characters of it the workflow saw. */
  carry(text: string): Promise<number>;
  /** How long the steps' results in the database are, shortest and longest, empty ones apart. */
  durable(): Promise<{ steps: number; shortest: number; longest: number }>;
  close(): Promise<void>;
}

export async function launchPayload(databaseUrl: string): Promise<PayloadApp> {
  const pawl = new Pawl({ name: 'bench', database: databaseUrl, logger: quietLogger });
  // Not an input of the workflow: that would be written too.
  let text = '';
  const carry = pawl.registerWorkflow(
    async () => {
      const result = await pawl.runStep(() => text, { name: 'carry' });
      return result.length;
    },
    { name: 'carry' },
  );
  await pawl.launch();
  return {
    async carry(next) {
      text = next;
      const handle = await pawl.startWorkflow(carry)();
      return handle.getResult();
    },
    durable: () =>
      withClient(databaseUrl, async (client) => {
        const { rows } = await client.query<{ steps: number; shortest: number; longest: number }>(
          `select count(*)::int as steps, min(length(output)) as shortest, max(length(output)) as longest
           from pawl.step where output <> '""'`,
        );
        return rows[0] ?? { steps: 0, shortest: 0, longest: 0 };
      }),
    close: () => pawl.shutdown(),
  };
}
