// The program of the failover tests. Its orders have every kind of operation in them; each run of a step leaves a
// line in a file, with a token that the step returns: so the log says which run was recorded, and what ran after it.
import { trueNow } from './skewed-clock.ts';
import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Pawl, type PawlConfig } from '@pawl/core';
import { internals } from '../../../packages/core/src/app/internals.ts';
import { serve } from '../../processes-suite/serve.ts';

const { DATABASE = '', LOG = '', CONFIG = '{}', GRACE_SECONDS = '3', WITHOUT = '' } = process.env;

const quiet = () => {};
const pawl = new Pawl({
  name: 'orders',
  database: DATABASE,
  logger: { debug: quiet, info: quiet, warn: quiet, error: console.error },
  ...(JSON.parse(CONFIG) as PawlConfig),
});

const note = (what: string) =>
  appendFileSync(LOG, `${trueNow()} ${process.pid} ${pawl.workflowID ?? '-'} ${what}\n`);

const step = (name: string, ms: number) =>
  pawl.runStep(
    async () => {
      const token = randomBytes(6).toString('hex');
      note(`${name} ${token}`);
      await pause(ms);
      return token;
    },
    { name },
  );

const entry = (pauseMs = 0) =>
  pawl.runTransaction(
    async (tx) => {
      note('entry -');
      await tx.query('INSERT INTO entry (workflow_id) VALUES ($1)', [pawl.workflowID]);
      if (pauseMs > 0) await pause(pauseMs);
      return 'entered';
    },
    { name: 'entry' },
  );

/** Goes on until it is told to stop. */
const long = async (ms: number) => {
  let steps = 0;
  while ((await pawl.recv('stop', 0)) === null) await step(`step ${steps++}`, ms);
  return steps;
};

const workflows = {
  order: async (n: number) => {
    const reserved = await step('reserve', 5);
    const entered = await entry();
    await pawl.sleep(20 + (n % 50));
    await pawl.setEvent('progress', n);
    const parcel = await pawl.startWorkflow<string>('parcel')(n, pawl.workflowID);
    const [picked, packed] = await Promise.all([step('pick', 10), step('pack', 20)]);
    const paid = await pawl.recv<string>('paid', Infinity);
    const wrapped = await pawl.recv<string>('wrapped', Infinity);
    const delivered = await parcel.getResult();
    const shipped = await step('ship', 5);
    return { tokens: [reserved, picked, packed, shipped], entered, paid, wrapped, delivered };
  },
  parcel: async (n: number, orderID: string) => {
    const wrap = await step('wrap', 5);
    await pawl.sleep(30);
    await pawl.send(orderID, `wrapped ${n}`, 'wrapped');
    return wrap;
  },
  long,
  /** The same for processes that some others are not. */
  moving: long,
  /** One step that takes so long. */
  slow: (ms: number) => step('slow', ms),
  entering: (ms: number) => entry(ms),
  /** Stops the process that is the first to run it between its checkpoint and COMMIT. */
  halting: async (pid: number) => {
    const { events } = internals(pawl);
    const off = events.on('transaction.committing', ({ workflowName }) => {
      if (workflowName === 'halting' && pid === process.pid) process.kill(pid, 'SIGSTOP');
    });
    return entry().finally(off);
  },
  sleeper: async (ms: number) => {
    await step('before', 0);
    await pawl.sleep(ms);
    return step('after', 0);
  },
  /** Between its steps it waits in a way that nobody records. */
  hesitant: async (ms: number) => {
    await step('before', 0);
    await pause(ms);
    return step('after', 0);
  },
  receiver: async () => {
    await step('before', 0);
    const message = await pawl.recv('go', Infinity);
    await step('after', 0);
    return message;
  },
  clock: async (seconds: number) => {
    await step('before', 0);
    const message = await pawl.recv('go', seconds);
    const now = await pawl.now();
    return { message, at: now.getTime() };
  },
  /** Reads the clock where it is gone on with, and not in the process with this pid. */
  inherited: async (pid: number) => {
    await step('before', 0);
    if (process.pid === pid) await new Promise(() => {});
    return (await pawl.now()).getTime();
  },
  limited: async () => {
    await step('before', 0);
    await pawl.recv('go', Infinity);
  },
};

for (const [name, fn] of Object.entries(workflows)) {
  if (name === WITHOUT) continue;
  pawl.registerWorkflow(fn as (...args: unknown[]) => Promise<unknown>, {
    name,
    ...(name === 'limited' && { timeout: 1500 }),
  });
}

process.once('SIGTERM', () => {
  note('stopping -');
  void pawl.shutdown({ graceSeconds: Number(GRACE_SECONDS) }).then(() => {
    note('stopped -');
    process.exit(0);
  });
});

/** How a call ended that should not take long, and how long it took. */
async function timed(call: () => Promise<unknown>): Promise<{ error: string | undefined; ms: number }> {
  const begun = performance.now();
  const error = await call().then(
    () => undefined,
    (reason: Error) => reason.name,
  );
  return { error, ms: performance.now() - begun };
}

const methods = {
  launch: () => pawl.launch().then(() => {}),
  start: async (name: string, workflowID: string, ...args: unknown[]) => {
    await pawl.startWorkflow(name, { workflowID })(...args);
  },
  send: (workflowID: string, message: unknown, topic = 'go') => pawl.send(workflowID, message, topic),
  result: (workflowID: string) => pawl.retrieveWorkflow(workflowID).getResult(),
  status: (workflowID: string) => pawl.getWorkflowStatus(workflowID),
  executors: () => pawl.listExecutors(),
  /** What this process believes that it runs. */
  running: () => [...internals(pawl).runtime.engine.activations.keys()],
  /** What a request of each kind comes to. */
  requests: async (workflowID: string) => {
    const calls = {
      start: () => pawl.startWorkflow('sleeper', { workflowID: `${workflowID}-new` })(0),
      send: () => pawl.send(workflowID, 'x', 'other'),
      status: () => pawl.getWorkflowStatus(workflowID),
      steps: () => pawl.listWorkflowSteps(workflowID),
      list: () => pawl.listWorkflows({ limit: 1 }),
      getEvent: () => pawl.getEvent(workflowID, 'nothing', 0.1),
      cancel: () => pawl.cancelWorkflow(`${workflowID}-new`),
      resume: () => pawl.resumeWorkflow(workflowID),
      fork: () => pawl.forkWorkflow(workflowID, 0),
      transaction: () => pawl.runTransaction((tx) => tx.query('SELECT 1')),
    };
    const timings = Object.entries(calls).map(async ([kind, call]) => ({ kind, ...(await timed(call)) }));
    return Promise.all(timings);
  },
};

export type Orders = typeof methods;
serve(methods);
