// Calls that took effect and whose answer was lost: what was started is started once, what was taken out of a queue runs,
// within its limits.
import { Pawl } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { CommitUnknownError } from '../../packages/core/src/store/database.ts';
import { mostAtOnce } from './fleet.ts';

let database: TestDatabase;
let pawl: Pawl;
const spans: { from: number; to: number }[] = [];

beforeEach(async () => {
  spans.length = 0;
  database = await createDatabase();
  pawl = new Pawl({ database: database.url, logger: quiet });
  pawl.registerWorkflow(
    async (ms: number) =>
      pawl.runStep(async () => {
        const from = performance.now();
        await new Promise((resolve) => setTimeout(resolve, ms));
        spans.push({ from, to: performance.now() });
      }),
    { name: 'job' },
  );
  pawl.registerQueue('q', { concurrency: 3, workerConcurrency: 2 });
  await pawl.launch();
});

afterEach(async () => {
  await pawl.shutdown({ graceSeconds: 0 });
  await database.drop();
});

const jobs = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    workflow: 'job',
    args: [5],
    workflowID: `job-${n}`,
    queueName: 'q',
  }));

/** The connection dies once such a call is through, so many times. */
function loseAnswers(of: string, times: number): { restore: () => void; lost: () => number } {
  type Sent = (this: pg.Client, ...args: unknown[]) => unknown;
  const prototype = pg.Client.prototype as unknown as { query: Sent };
  const query = prototype.query;
  let lost = 0;
  prototype.query = function (...args) {
    const [config] = args as [{ text?: string; callback?: (error: unknown, rows: unknown) => void }];
    if (lost < times && config.text?.includes(of) === true && config.callback !== undefined) {
      lost++;
      const { callback } = config;
      const { stream } = (this as unknown as { connection: { stream: { destroy(): void } } }).connection;
      config.callback = (error, rows) => {
        stream.destroy();
        callback(error ?? Object.assign(new Error('the answer was lost'), { code: 'ECONNRESET' }), rows);
      };
    }
    return query.apply(this, args);
  };
  return { restore: () => void (prototype.query = query), lost: () => lost };
}

test('what a lost claim took runs after all, within the limits', async () => {
  const { restore, lost } = loseAnswers('.dispatch(', 2);
  try {
    await pawl.waitAll(await pawl.startWorkflows(jobs(12)));
  } finally {
    restore();
  }
  expect(lost()).toBe(2);
  expect(spans).toHaveLength(12);
  expect(mostAtOnce(spans)).toBe(2);
  const ended = await pawl.listWorkflows({ queueName: 'q' });
  expect(ended.workflows.map(({ status, recoveryAttempts }) => [status, recoveryAttempts])).toEqual(
    Array.from({ length: 12 }, () => ['SUCCESS', 0]),
  );
});

test('a lost start in a queue is sent again and recognizes itself', async () => {
  const { restore, lost } = loseAnswers('.flush_one_enqueue(', 1);
  try {
    const handle = await pawl.startWorkflow('job', { queueName: 'q', deduplicationID: 'one' })(1);
    await handle.getResult();
  } finally {
    restore();
  }
  expect(lost()).toBe(1);
  expect(spans).toHaveLength(1);
});

test.each([
  { of: 'few', count: 5, committed: true },
  { of: 'few', count: 5, committed: false },
  // A large batch is inserted without a look at what is there.
  { of: 'many', count: 600, committed: true },
  { of: 'many', count: 600, committed: false },
])('a lost COMMIT of startWorkflows of $of, which took effect: $committed', async ({ count, committed }) => {
  const { database: own } = internals(pawl);
  const transaction = own.transaction.bind(own);
  own.transaction = async (options, body) => {
    own.transaction = transaction;
    await transaction(options, async (tx) => {
      await body(tx);
      if (!committed) throw new Error('lost on the way');
    }).catch(() => {});
    throw new CommitUnknownError('The connection was lost while COMMIT was under way.');
  };
  const starts = jobs(count).map((job, n) =>
    count > 10 ? { ...job, args: [0] } : { ...job, deduplicationID: `d-${n}` },
  );
  await pawl.waitAll(await pawl.startWorkflows(starts));
  expect(spans).toHaveLength(count);
});
