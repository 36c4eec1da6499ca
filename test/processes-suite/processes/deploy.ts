// One deploy of an app that changes: CODE says which. Each step's result says by which process it was run.
import { Pawl, type PawlConfig, type WorkflowFilter } from '@pawl/core';
import { serve } from '../serve.ts';

const { DATABASE = '', NAME = '', CODE = 'one', SERVES = '', CONFIG = '{}' } = process.env;

const logged: { level: string; fields: Record<string, unknown>; message: string }[] = [];
const logger = Object.fromEntries(
  ['debug', 'info', 'warn', 'error'].map((level) => [
    level,
    (fields: Record<string, unknown>, message: string) => logged.push({ level, fields, message }),
  ]),
);
const pawl = new Pawl({
  database: DATABASE,
  executorID: NAME,
  logger: logger as never,
  ...(JSON.parse(CONFIG) as PawlConfig),
});

const step = (name: string) => pawl.runStep(() => `${name} by ${NAME}`, { name });
const go = () => pawl.recv<string>('go', Number.POSITIVE_INFINITY);
/** What a workflow calls is no part of its source, so this deploy has the same version. */
const order = CODE === 'swapped' ? ['charge', 'reserve'] : ['reserve', 'charge'];

const unchanged = async () => [await step('before'), await go(), await step('after')];

const changed: Record<string, () => Promise<unknown>> = {
  one: async () => [await step('reserve'), await go(), await step('ship')],
  two: async () => [await step('reserve'), await go(), await step('pack'), await step('ship')],
};

const patched: Record<string, () => Promise<unknown>> = {
  one: async () => [await step('reserve'), await step('charge'), await go(), await step('ship')],
  two: async () => {
    const reserved = await step('reserve');
    const charged = await step((await pawl.patch('hold first')) ? 'hold' : 'charge');
    return [reserved, charged, await go(), await step('ship')];
  },
  three: async () => {
    const reserved = await step('reserve');
    await pawl.deprecatePatch('hold first');
    return [reserved, await step('hold'), await go(), await step('ship')];
  },
};

const ordered = async () => {
  const done: unknown[] = [];
  for (const name of order) done.push(await step(name));
  return [...done, await go(), await step('ship')];
};

const workflows = {
  unchanged,
  changed: changed[CODE] ?? changed['one'],
  patched: patched[CODE] ?? patched['one'],
  ordered,
} as Record<string, () => Promise<unknown>>;
for (const [name, fn] of Object.entries(workflows))
  if (SERVES === '' || SERVES.split(',').includes(name)) pawl.registerWorkflow(fn, { name });

const methods = {
  launch: async () => {
    await pawl.launch();
  },
  shutdown: () => pawl.shutdown(),
  start: async (name: string, workflowID: string) => {
    await pawl.startWorkflow(name, { workflowID })();
  },
  /** Workflows that wait for word to go on. */
  waiting: async (workflowIDs: string[]) => {
    const steps = await Promise.all(workflowIDs.map((id) => pawl.listWorkflowSteps(id)));
    return workflowIDs.filter((_, i) => steps[i]?.some((step) => step.kind === 'recv'));
  },
  go: (workflowID: string) => pawl.send(workflowID, 'go', 'go'),
  result: (workflowID: string) => pawl.retrieveWorkflow(workflowID).getResult(),
  status: (workflowID: string) => pawl.getWorkflowStatus(workflowID),
  list: (filter: WorkflowFilter) => pawl.listWorkflows(filter),
  steps: async (workflowID: string) => (await pawl.listWorkflowSteps(workflowID)).map(({ name }) => name),
  resume: async (workflowID: string) => {
    await pawl.resumeWorkflow(workflowID);
  },
  logged: () => logged.filter(({ level }) => level === 'warn' || level === 'error'),
};

export type Deploy = typeof methods;
serve(methods);
