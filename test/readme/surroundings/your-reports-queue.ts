// An app with queues, which runs.
import { Pawl } from '@pawl/core';

export const pawl = new Pawl();

/** In the order in which they ran. */
export const reported: string[] = [];

export const report = pawl.registerWorkflow(async (name: string) => void reported.push(name), {
  name: 'report',
});

pawl.registerQueue('reports', { concurrency: 1, priorityEnabled: true });
pawl.registerQueue('tenants', { partitioned: true });
await pawl.launch();
await pawl.pauseQueue('reports');
