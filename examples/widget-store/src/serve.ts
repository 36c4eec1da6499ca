// The life of one shop process, the same for Express and Koa: launch, listen, tell the supervisor, stop in order.
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PawlError } from '@pawl/core';
import { prepareShop, referenceOf } from './shop.ts';
import { stopFeed } from './shop-feed.ts';
import { pawl } from './workflows.ts';

export async function serve(handler: RequestListener): Promise<void> {
  await pawl.launch().catch(giveUp); // from here on, whatever a dead process left unfinished goes on
  await pawl.runTransaction(prepareShop);
  await tellWhatGoesOn();

  const server = createServer(handler);
  server.listen(Number(process.env['PORT'] ?? 3000), process.env['HOST'], () => {
    const { port } = server.address() as AddressInfo;
    if (process.send) process.send({ port });
    else console.log(`Listening on http://localhost:${port}`);
  });

  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    server.close();
    stopFeed();
    await pawl.shutdown();
    process.exit(0);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('disconnect', stop); // the supervisor is gone
}

/** No database, a wrong setting: the message says what to do, and nobody needs a stack for that. */
function giveUp(error: unknown): never {
  if (!(error instanceof PawlError)) throw error;
  console.error(error.message);
  process.exit(1);
}

/** For the log: what the process before this one left behind. */
async function tellWhatGoesOn(): Promise<void> {
  const { workflows } = await pawl.listWorkflows({ status: 'PENDING' });
  for (const { workflowID, name } of workflows) {
    const steps = await pawl.listWorkflowSteps(workflowID);
    const recorded = steps.filter((step) => step.completedAt).length;
    console.log(`${referenceOf(workflowID)} · ${name} goes on after ${recorded} recorded steps`);
  }
}
