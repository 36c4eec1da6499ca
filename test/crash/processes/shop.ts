// The program of the crash tests: one workflow with every kind of operation in it, its child, and one that collects
// messages. Each run of a function leaves a line in a file, written at once, so that no crash can take it back.
import { appendFileSync } from 'node:fs';
import { Pawl } from '@pawl/core';
import { crashAt, type CrashPoint } from '@pawl/core/testing';
import { serve } from '../../processes-suite/serve.ts';

const { DATABASE = '', LOG = '', PARK_AFTER_SECONDS = '5', LEASE_SECONDS = '15' } = process.env;

const quiet = () => {};
const pawl = new Pawl({
  name: 'shop',
  logger: { debug: quiet, info: quiet, warn: quiet, error: console.error },
  database: DATABASE.startsWith('postgres') ? DATABASE : { dataDir: DATABASE },
  parkAfterSeconds: Number(PARK_AFTER_SECONDS),
  leaseSeconds: Number(LEASE_SECONDS),
});

const runs = (what: string) => appendFileSync(LOG, `${pawl.workflowID} ${what}\n`);

const collector = pawl.registerWorkflow(
  async () => {
    const collected: string[] = [];
    for (;;) {
      const message = await pawl.recv<string>('to collector', 30);
      if (message === null || message === 'stop') return collected;
      collected.push(message);
    }
  },
  { name: 'collector' },
);

const child = pawl.registerWorkflow(
  async (parentID: string) => {
    await pawl.runStep(() => runs('child step'), { name: 'child step' });
    await pawl.sleep(20);
    await pawl.setEvent('child event', 'from the child');
    await pawl.sleep(20);
    await pawl.send(parentID, 'late', 'late');
    await pawl.sleep(20);
    return 'child result';
  },
  { name: 'child' },
);

const main = pawl.registerWorkflow(
  async (row: string) => {
    const workflowID = pawl.workflowID as string;
    const one = await pawl.runStep(() => (runs('one'), 'one'), { name: 'one' });
    const paid = await pawl.runTransaction(
      async (tx) => {
        runs('pay');
        const { rows } = await tx.query<{ row: string }>(
          'INSERT INTO payment (row) VALUES ($1) RETURNING row',
          [row],
        );
        return rows.length;
      },
      { name: 'pay' },
    );
    const flaky = await pawl.runStep(
      ({ attempt }) => {
        runs('flaky');
        if (attempt === 1) throw new Error('not at the first attempt');
        return 'flaky';
      },
      { name: 'flaky', retriesAllowed: true, maxAttempts: 50, intervalSeconds: 0.01 },
    );
    await pawl.sleep(20);
    const patched = await pawl.patch('a change');
    const progress = { id: await pawl.randomUUID(), at: await pawl.now() };
    await pawl.setEvent('progress', progress);
    await pawl.send(`${row}:collector`, 'first', 'to collector');
    const early = await pawl.recv<string>('early', 30);
    const handle = await pawl.startWorkflow(child)(workflowID);
    const event = await pawl.getEvent<string>(handle.workflowID, 'child event', 30);
    const late = await pawl.recv<string>('late', 30);
    const result = await handle.getResult();
    const nothing = await pawl.recv<string>('nothing', 0.02);
    await pawl.send(`${row}:collector`, 'second', 'to collector');
    await pawl.send(`${row}:collector`, 'stop', 'to collector');
    const values = { one, paid, flaky, early, event, late, result, nothing, patched };
    return { values, progress };
  },
  { name: 'main' },
);

export interface Outcome {
  values: Record<string, unknown>;
  /** The event has the values that the workflow returned. */
  sameProgress: boolean;
  collected: string[];
  steps: string[];
  messages: string[][];
  payments: number;
}

async function drive(row: string): Promise<Outcome> {
  const workflowID = `${row}:main`;
  const collecting = await pawl.startWorkflow(collector, { workflowID: `${row}:collector` })();
  const handle = await pawl.startWorkflow(main, { workflowID })(row);
  await pawl.send(workflowID, 'early', 'early', { idempotencyKey: row });
  const { values, progress } = await handle.getResult();
  const event = await pawl.getEvent<typeof progress>(workflowID, 'progress', 0);
  const collected = await collecting.getResult();
  const messages: string[][] = [];
  for (const id of [workflowID, `${row}:collector`])
    messages.push((await pawl.listMessages(id)).map(({ message }) => message as string));
  const payments = await pawl.runTransaction(
    async (tx) => (await tx.query('SELECT 1 FROM payment WHERE row = $1', [row])).rowCount,
  );
  return {
    values,
    sameProgress: event?.id === progress.id && event.at.getTime() === progress.at.getTime(),
    collected,
    steps: (await pawl.listWorkflowSteps(workflowID)).map(({ kind, name }) => `${kind} ${name}`),
    messages,
    payments,
  };
}

/** A promise, so that calls wait for the launch. */
const launched = pawl.launch().then(() =>
  pawl.runTransaction(async (tx) => {
    // Two that create it at once would collide.
    await tx.query('SELECT pg_advisory_xact_lock(1)');
    await tx.query('CREATE TABLE IF NOT EXISTS payment (row text)');
  }),
);

const methods = {
  ready: () => launched,
  arm: async (point: CrashPoint) => {
    await launched;
    crashAt(pawl, point);
  },
  drive: (row: string) => launched.then(() => drive(row)),
  leave: () => pawl.shutdown({ graceSeconds: 1 }),
};

export type Shop = typeof methods;
serve(methods);
