// Pawl's messages as a contender, default configuration.
import { Pawl, PawlClient } from '@pawl/core';
import type { MessagePeer } from './message-peer.ts';
import { quietLogger } from './pawl.ts';

const topic = 'number';

export const pawlMessages: MessagePeer = {
  async launch(databaseUrl, received) {
    const pawl = new Pawl({ name: 'bench', database: databaseUrl, logger: quietLogger });
    const next = pawl.registerWorkflow(
      async () => {
        const value = await pawl.recv<number>(topic);
        received(pawl.workflowID ?? '');
        return (value ?? Number.NaN) + 1;
      },
      { name: 'next' },
    );
    await pawl.launch();
    return {
      async start() {
        const handle = await pawl.startWorkflow(next)();
        return { workflowID: handle.workflowID, result: () => handle.getResult() };
      },
      send: (workflowID, value) => pawl.send(workflowID, value, topic),
      close: () => pawl.shutdown(),
    };
  },

  async connect(databaseUrl) {
    const client = new PawlClient({ database: databaseUrl });
    return {
      send: (workflowID, value) => client.send(workflowID, value, topic),
      close: () => client.close(),
    };
  },
};
