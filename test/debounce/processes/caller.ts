// A workflow that calls a debounced one, in a process that dies where it is told to.
import { Pawl } from '@pawl/core';
import { crashAt, type CrashMoment } from '@pawl/core/testing';
import { serve } from '../../processes-suite/serve.ts';

const { DATABASE = '', WHEN } = process.env;
const quiet = () => {};
const pawl = new Pawl({
  database: DATABASE,
  logger: { debug: quiet, info: quiet, warn: quiet, error: console.error },
});
const target = pawl.registerWorkflow(async (text: string) => text, { name: 'target' });
const caller = pawl.registerWorkflow(
  async () => {
    const later = pawl.debounce(target, { key: 'k', period: 100 });
    const { workflowID } = await later(`from ${pawl.workflowID}`);
    return workflowID;
  },
  { name: 'caller' },
);
if (WHEN !== undefined) crashAt(pawl, { when: WHEN as CrashMoment, kind: 'debounce', name: 'target' });

const methods = {
  launch: async () => void (await pawl.launch()),
  start: async (workflowID: string) => void (await pawl.startWorkflow(caller, { workflowID })()),
  result: (workflowID: string) => pawl.retrieveWorkflow<string>(workflowID).getResult(),
  runs: async () =>
    (await pawl.listWorkflows({ name: 'target' })).workflows.map(({ workflowID }) => workflowID),
};
export type Caller = typeof methods;
serve(methods);
