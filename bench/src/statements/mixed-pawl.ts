// Pawl doing a little of everything, so that every statement it has for running workflows comes by. Waits leave memory at once.
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pawl } from '@pawl/core';
import { pawlExpress } from '@pawl/express';
import express from 'express';
import { quietLogger } from '../peers/pawl.ts';

export interface MixedApp {
  /** One of each, one after another; a wrong result throws. */
  run(n: number): Promise<void>;
  /** The ids of workflows to make copies of: one that ended, one that is parked, one that waits in a queue that is paused. */
  examples(): Promise<Record<'finished' | 'parked' | 'queued', string>>;
  close(): Promise<void>;
}

const day = 86_400;

export async function launchMixed(databaseUrl: string, schema: string): Promise<MixedApp> {
  const pawl = new Pawl({
    name: 'bench',
    database: databaseUrl,
    schema,
    parkAfterSeconds: 0,
    logger: quietLogger,
  });
  const count = pawl.registerWorkflow(
    async (seed: number) => {
      const more = await pawl.runStep(() => seed + 1, { name: 'one' });
      return pawl.runStep(() => more + 1, { name: 'two' });
    },
    { name: 'count' },
  );
  const receive = pawl.registerWorkflow(() => pawl.recv<number>('go', day), { name: 'receive' });
  const family = pawl.registerWorkflow(
    async (seed: number) => {
      const child = await pawl.startWorkflow(count)(seed);
      const value = await child.getResult();
      await pawl.setEvent('value', value);
      await pawl.writeStream('values', value);
      await pawl.sleep(1);
      return value;
    },
    { name: 'family' },
  );
  pawl.registerQueue('mixed', {});
  pawl.registerQueue('limited', { concurrency: 50 });
  pawl.registerQueue('closed', {});
  await pawl.launch();
  await pawl.pauseQueue('closed');
  const server = await serve(pawl);
  const { port } = server.address() as AddressInfo;

  const steps: ((n: number) => Promise<[unknown, unknown]>)[] = [
    async (n) => [await (await pawl.startWorkflow(count)(n)).getResult(), n + 2],
    async (n) => {
      const { workflowID } = await pawl.startWorkflow(receive)();
      await pawl.send(workflowID, n, 'go');
      return [await pawl.retrieveWorkflow(workflowID).getResult(), n];
    },
    async (n) => {
      const { workflowID } = await pawl.startWorkflow(family)(n);
      const event = await pawl.getEvent(workflowID, 'value', 60);
      for await (const value of pawl.readStream(workflowID, 'values'))
        if (value !== n + 2) return [value, n + 2];
      await pawl.retrieveWorkflow(workflowID).getResult();
      return [event, n + 2];
    },
    async (n) => [await (await pawl.startWorkflow(count, { queueName: 'mixed' })(n)).getResult(), n + 2],
    async (n) => [await (await pawl.startWorkflow(count, { queueName: 'limited' })(n)).getResult(), n + 2],
    async (n) => {
      const [first, again] = [await post(port, n), await post(port, n)];
      return [`${first} ${again}`, `{"n":${n}} {"n":${n}}`];
    },
    async (n) => {
      const { workflowID } = await pawl.startWorkflow(count, { workflowID: `chosen-${n}` })(n);
      await pawl.startWorkflow(count, { workflowID })(n);
      await pawl.retrieveWorkflow(workflowID).getResult();
      const journal = await pawl.listWorkflowSteps(workflowID);
      return [`${(await pawl.getWorkflowStatus(workflowID))?.status} ${journal.length}`, 'SUCCESS 2'];
    },
  ];
  return {
    async run(n) {
      for (const step of steps) {
        const [found, expected] = await step(n);
        if (found !== expected) throw new Error(`It gave ${String(found)} and not ${String(expected)}.`);
      }
    },
    async examples() {
      const finished = await pawl.startWorkflow(count)(0);
      await finished.getResult();
      const parked = await pawl.startWorkflow(receive)();
      const queued = await pawl.startWorkflow(count, { queueName: 'closed' })(0);
      return { finished: finished.workflowID, parked: parked.workflowID, queued: queued.workflowID };
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await pawl.shutdown();
    },
  };
}

async function serve(pawl: Pawl): Promise<Server> {
  const app = express();
  app.post('/orders', express.json(), pawlExpress(pawl, { scope: 'global' }).idempotent(), (req, res) => {
    res.json(req.body);
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function post(port: number, n: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/orders`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': `order-${n}` },
    body: JSON.stringify({ n }),
  });
  return response.text();
}
