// DBOS's messages as a contender, configured as in dbos.ts: LISTEN/NOTIFY, its default, wakes who waits.
import { DBOS, DBOSClient } from '@dbos-inc/dbos-sdk';
import type { MessagePeer } from './message-peer.ts';

const topic = 'number';

export const dbosMessages: MessagePeer = {
  async launch(databaseUrl, received) {
    const next = DBOS.registerWorkflow(
      async () => {
        const value = await DBOS.recv<number>(topic);
        received(DBOS.workflowID ?? '');
        return (value ?? Number.NaN) + 1;
      },
      { name: 'next' },
    );
    DBOS.setConfig({ name: 'bench', systemDatabaseUrl: databaseUrl, logLevel: 'warn' });
    await DBOS.launch();
    return {
      async start() {
        const handle = await DBOS.startWorkflow(next)();
        return { workflowID: handle.workflowID, result: () => handle.getResult() };
      },
      send: (workflowID, value) => DBOS.send(workflowID, value, topic),
      close: () => DBOS.shutdown(),
    };
  },

  async connect(databaseUrl) {
    const client = await DBOSClient.create({ systemDatabaseUrl: databaseUrl, applicationName: 'bench' });
    return {
      send: (workflowID, value) => client.send(workflowID, value, topic),
      close: () => client.destroy(),
    };
  },
};
