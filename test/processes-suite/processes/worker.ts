// The program of the tests with several processes: workflows that wait in every way there is, and methods to start,
// cancel and watch them. Each run of a function leaves a line with the time in a file, written at once.
import { appendFileSync, readFileSync } from 'node:fs';
import { Pawl, type PawlConfig } from '@pawl/core';
import { internals } from '../../../packages/core/src/app/internals.ts';
import { serve } from '../serve.ts';

const { DATABASE = '', LOG = '', CONFIG = '{}', WITHOUT = '', IMMUNE = '' } = process.env;

const quiet = () => {};
const pawl = new Pawl({
  name: 'worker',
  database: DATABASE.startsWith('postgres') ? DATABASE : { dataDir: DATABASE },
  logger: { debug: quiet, info: quiet, warn: quiet, error: console.error },
  ...(JSON.parse(CONFIG) as PawlConfig),
});

const note = (what: string) =>
  appendFileSync(LOG, `${Date.now()} ${process.pid} ${pawl.workflowID} ${what}\n`);
const step = (name: string, ms = 0) =>
  pawl.runStep(
    () => {
      note(name);
      return ms === 0 ? name : new Promise((resolve) => setTimeout(resolve, ms, name));
    },
    { name },
  );

/** Waits between two steps; notes when the wait is ended from outside. */
const waiting = async <T>(wait: () => Promise<T>): Promise<T> => {
  await step('before');
  let value: T;
  try {
    value = await wait();
  } catch (error) {
    note(`ended by ${(error as Error).name}`);
    throw error;
  }
  await step('after');
  return value;
};

const workflows = {
  one: async (input: unknown) => {
    await step('only');
    return input;
  },
  transact: (input: unknown) => pawl.runTransaction(async (tx) => (await tx.query('SELECT 1')) && input),
  steps: async (count: number, ms: number) => {
    for (let i = 0; i < count; i++) await step(`step ${i}`, ms);
    return count;
  },
  count: async (count: number, waits: boolean) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += await pawl.runStep(() => i, { name: 'add' });
    if (waits) await pawl.recv('go', 120);
    return sum;
  },
  blob: async (length: number) => {
    const blob = await pawl.runStep(() => (note('blob'), 'ä'.repeat(length)), { name: 'blob' });
    await pawl.recv('go', 120);
    return blob;
  },
  sleeper: (ms: number) => waiting(() => pawl.sleep(ms)),
  receiver: () => waiting(() => pawl.recv('go', 120)),
  getter: (target: string) => waiting(() => pawl.getEvent(target, 'announced', 120)),
  parent: (childID: string) =>
    waiting(async () => {
      const handle = await pawl.startWorkflow('receiver', { workflowID: childID })();
      return handle.getResult();
    }),
  /** Its step goes on until somebody aborts it; where it runs once more it returns at once. */
  stubborn: () =>
    waiting(() =>
      pawl.runStep(
        ({ signal, workflowID }) => {
          if (readFileSync(LOG, 'utf8').includes(`${workflowID} stubborn`)) return 'at last';
          note('stubborn');
          return new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error));
          });
        },
        { name: 'stubborn' },
      ),
    ),
  announcer: async () => {
    await pawl.recv('go', 120);
    await pawl.setEvent('announced', Date.now());
    return Date.now();
  },
  poison: () =>
    pawl.runStep(() => {
      note('poison');
      if (IMMUNE !== 'true') process.kill(process.pid, 'SIGKILL');
      return 'survived';
    }),
  fragile: () => waiting(() => pawl.recv('never', Infinity)),
  limited: () => waiting(() => pawl.recv('never', Infinity)),
};

for (const [name, fn] of Object.entries(workflows)) {
  if (!WITHOUT.split(',').includes(name))
    pawl.registerWorkflow(fn as (...args: unknown[]) => Promise<unknown>, {
      name,
      ...(name === 'limited' && { timeout: 700 }),
      ...(name === 'poison' && { maxRecoveryAttempts: 2 }),
      ...(name === 'fragile' && { maxRecoveryAttempts: 0 }),
    });
}

const methods = {
  /** Resolves with the time when the Pawl was ready. */
  launch: async () => {
    await pawl.launch();
    return Date.now();
  },
  shutdown: () => pawl.shutdown(),
  start: async (name: string, workflowID: string, ...args: unknown[]) =>
    (await pawl.startWorkflow(name, { workflowID })(...args)).workflowID,
  /** Starts and waits, so many times at once: the results as one set. */
  startAtOnce: async (times: number, name: string, workflowID: string, ...args: unknown[]) => {
    const calls = Array.from({ length: times }, async () =>
      (await pawl.startWorkflow(name, { workflowID })(...args)).getResult(),
    );
    return new Set(await Promise.all(calls));
  },
  /** Starts so many workflows and waits for all; how long it took. */
  startMany: async (count: number, name: string) => {
    const begun = performance.now();
    const runs = Array.from({ length: count }, async (_, i) => {
      const result = await (await pawl.startWorkflow(name, { workflowID: `${name}-${i}` })(i)).getResult();
      if (result !== i) throw new Error(`${name}-${i} returned ${String(result)}`);
    });
    await Promise.all(runs);
    return performance.now() - begun;
  },
  result: async (workflowID: string) => pawl.retrieveWorkflow(workflowID).getResult(),
  /** When the result was here. */
  timeOfResult: async (workflowID: string) => {
    await pawl.retrieveWorkflow(workflowID).getResult();
    return Date.now();
  },
  timeOfEvent: async (workflowID: string) => {
    await pawl.getEvent(workflowID, 'announced', 60);
    return Date.now();
  },
  status: (workflowID: string) => pawl.getWorkflowStatus(workflowID),
  steps: (workflowID: string) => pawl.listWorkflowSteps(workflowID),
  executors: () => pawl.listExecutors(),
  /** When the cancellation was asked for. */
  cancel: async (workflowID: string) => {
    const at = Date.now();
    await pawl.cancelWorkflow(workflowID);
    return at;
  },
  resume: async (workflowID: string) => {
    await pawl.resumeWorkflow(workflowID);
  },
  send: async (workflowID: string, message: unknown) => {
    const at = Date.now();
    await pawl.send(workflowID, message, 'go');
    return at;
  },
  /** From here on this process sends no hints to others. */
  loseHints: () => {
    Object.assign(internals(pawl).runtime.hints, { tell: quiet, ready: quiet });
  },
};

export type Worker = typeof methods;
serve(methods);
