// Restate's messages as a contender: a durable promise of the workflow, which another of its handlers resolves, as its
// manual has it for signals. Set up as in restate.ts.
import { randomUUID } from 'node:crypto';
import { workflow, type WorkflowContext, type WorkflowSharedContext } from '@restatedev/restate-sdk';
import type { MessagePeer } from './message-peer.ts';
import { startRestate } from './restate-node.ts';

const promise = 'number';

export const restateMessages: MessagePeer = {
  async launch(_databaseUrl, received) {
    const next = workflow({
      name: 'next',
      handlers: {
        run: async (context: WorkflowContext) => {
          const value = await context.promise<number>(promise);
          received(context.key);
          return value + 1;
        },
        send: async (context: WorkflowSharedContext, value: number) => {
          await context.promise<number>(promise).resolve(value);
        },
      },
    });
    const { ingress, serverPids, close } = await startRestate([next]);
    return {
      async start() {
        const workflowID = randomUUID();
        const client = ingress.workflowClient<typeof next>({ name: 'next' }, workflowID);
        await client.workflowSubmit();
        return { workflowID, result: () => client.workflowAttach() };
      },
      async send(workflowID, value) {
        await ingress.workflowClient<typeof next>({ name: 'next' }, workflowID).send(value);
      },
      serverPids,
      close,
    };
  },

  connect: () => Promise.reject(new Error('No scenario sends to Restate from another process.')),
};
