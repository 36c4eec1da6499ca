// A server process that the stream suite kills: `node streams.ts FRAMEWORK DATABASE_URL PORT`. Says its port on standard
// output. `POST /start/ID` starts a workflow that sets the events 1 to 30.
import { setTimeout as pause } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';
import { Pawl } from '@pawl/core';
import { frameworks } from '../frameworks.ts';

const [name, database, port] = process.argv.slice(2);
const framework = frameworks.find((each) => each.name === name);
if (framework === undefined || database === undefined)
  throw new Error('usage: streams.ts FRAMEWORK DATABASE_URL PORT');

const pawl = new Pawl({ database, leaseSeconds: 3 });
const counting = pawl.registerWorkflow(
  async () => {
    for (let n = 1; n <= 30; n += 1) {
      await pawl.setEvent('n', n);
      await pawl.runStep(() => pause(20), { name: 'work' });
    }
  },
  { name: 'thirty' },
);
await pawl.launch();

const served = framework.serve(pawl, { scope: 'global' }, (app) => {
  app.workflows('/workflows', { authorize: () => true });
});
const [handle] = served.listeners('request') as ((...given: unknown[]) => void)[];
served.removeAllListeners('request');
served.on('request', (request, response) => {
  const id = /^\/start\/(.*)$/.exec(request.url ?? '')?.[1];
  if (id === undefined) handle?.(request, response);
  else
    void pawl
      .startWorkflow(counting, { workflowID: id })()
      .then(() => response.writeHead(202).end());
});
served.listen(Number(port), '127.0.0.1', () => {
  process.stdout.write(`${(served.address() as AddressInfo).port}\n`);
});
