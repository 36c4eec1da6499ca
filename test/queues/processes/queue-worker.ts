// The program of the tests that run queues in several processes. A job notes when it begins and ends, by the database's
// clock, in a table of the test's own; methods start jobs and do what operators do.
import { Pawl, type PawlConfig, type QueueOptions, type StartParams } from '@pawl/core';
import pg from 'pg';
import { serve } from '../../processes-suite/serve.ts';

const { DATABASE = '', CONFIG = '{}', QUEUES = '{}' } = process.env;

const quiet = () => {};
const pawl = new Pawl({
  name: 'queue-worker',
  database: DATABASE,
  logger: { debug: quiet, info: quiet, warn: quiet, error: console.error },
  ...(JSON.parse(CONFIG) as PawlConfig),
});
const notes = new pg.Pool({ connectionString: DATABASE, max: 4 });

const note = (workflowID: string, what: string) =>
  notes.query('INSERT INTO note (workflow_id, pid, what) VALUES ($1, $2, $3)', [
    workflowID,
    process.pid,
    what,
  ]);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const noted = (ms: number) =>
  pawl.runStep(
    async ({ workflowID }) => {
      await note(workflowID, 'begin');
      if (ms > 0) await pause(ms);
      await note(workflowID, 'end');
    },
    { name: 'noted' },
  );

const workflows = {
  job: (ms: number) => noted(ms),
  /** Keeps its slot while it sleeps outside of memory. */
  sleeper: async (ms: number) => {
    await noted(1);
    await pawl.sleep(ms);
    await noted(1);
  },
  /** Goes on when it is told to. */
  held: async () => {
    await noted(1);
    await pawl.recv('go', 600);
    await noted(1);
  },
  /** Enqueues in a transaction step, which also writes a row of the test's own. */
  spender: async (workflowID: string, commit: boolean) => {
    try {
      await pawl.runTransaction(async (tx) => {
        await tx.query('INSERT INTO ledger VALUES ($1)', [workflowID]);
        await pawl.startWorkflow('job', { workflowID, queueName: 'q', transaction: tx })(0);
        if (!commit) throw new Error('rolled back');
      });
    } catch (error) {
      if (commit) throw error;
    }
  },
};
export type JobName = keyof typeof workflows;

for (const [name, body] of Object.entries(workflows))
  pawl.registerWorkflow(body as (...args: unknown[]) => Promise<unknown>, {
    name,
    maxRecoveryAttempts: 100_000,
  });
for (const [name, options] of Object.entries(JSON.parse(QUEUES) as Record<string, QueueOptions>))
  pawl.registerQueue(name, options);

export interface Job extends StartParams {
  name: JobName;
  ms?: number;
}

const methods = {
  launch: async () => {
    await pawl.launch();
  },
  shutdown: () => pawl.shutdown(),
  /** The ids, or the name of the error. */
  start: async ({ name, ms = 1, ...params }: Job) => {
    try {
      return (await pawl.startWorkflow(name, params)(ms)).workflowID;
    } catch (error) {
      return (error as Error).name;
    }
  },
  startAll: async (jobs: Job[]) => {
    const handles = await pawl.startWorkflows(
      jobs.map(({ name, ms = 1, ...params }) => ({ workflow: name, args: [ms], ...params })),
    );
    return handles.map(({ workflowID }) => workflowID);
  },
  define: (name: string, options: QueueOptions) => {
    pawl.registerQueue(name, options);
  },
  pause: (name: string) => pawl.pauseQueue(name),
  resume: (name: string) => pawl.resumeQueue(name),
  delay: (workflowID: string, ms: number) => pawl.setWorkflowDelay(workflowID, ms),
  send: (workflowID: string) => pawl.send(workflowID, null, 'go'),
  result: (workflowID: string) => pawl.retrieveWorkflow(workflowID).getResult(),
  /** Enqueues in a transaction of its own, which also writes a row; returns once that has ended. */
  enqueueIn: async (workflowID: string, commit: boolean) => {
    const client = await notes.connect();
    try {
      await client.query('BEGIN');
      await client.query('INSERT INTO ledger VALUES ($1)', [workflowID]);
      await pawl.startWorkflow('job', { workflowID, queueName: 'q', transaction: client })(0);
      await client.query(commit ? 'COMMIT' : 'ROLLBACK');
    } finally {
      client.release();
    }
  },
  spend: async (workflowID: string, commit: boolean) => {
    await (
      await pawl.startWorkflow('spender', { workflowID: `spender of ${workflowID}` })(workflowID, commit)
    ).getResult();
  },
};

export type QueueWorker = typeof methods;
serve(methods);
