// `pawl queue` beside an app that runs: what it shows is what the app has, and what it pauses is paused there.
import { Pawl, type QueueInfo, type WorkflowList } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runHere } from './command-line.ts';

let database: TestDatabase;
let app: Pawl;

const answer = async (...args: string[]) => {
  const { exitCode, stdout, stderr } = await runHere([...args, '--database', database.url]);
  expect(exitCode).toBe(0);
  return { stdout, stderr };
};
const json = async <T>(...args: string[]) => JSON.parse((await answer(...args, '--json')).stdout) as T;

beforeAll(async () => {
  database = await createDatabase();
  app = new Pawl({ database: database.url });
});

afterAll(async () => {
  await app.shutdown({ graceSeconds: 0 });
  await database.drop();
});

test('list, pause and resume: what a paused queue holds is seen, and runs once it is resumed', async () => {
  const mail = app.registerWorkflow(async (to: string) => to, { name: 'mail' });
  await app.launch();
  expect(await json('queue', 'list')).toEqual({ queues: [] });
  expect((await answer('queue', 'list')).stderr).toMatch(/^There is no queue here\. .*\n$/);

  app.registerQueue('mail', { concurrency: 3, rateLimit: { limit: 10, periodSeconds: 60 } });
  app.registerQueue('tenants', { partitioned: true, partitionConcurrency: 1, priorityEnabled: true });
  await app.listQueues();
  const idle = { queued: 0, delayed: 0, running: 0, paused: false };
  expect(await json<{ queues: QueueInfo[] }>('queue', 'list')).toEqual({
    queues: [
      {
        name: 'mail',
        concurrency: 3,
        rateLimit: { limit: 10, periodSeconds: 60 },
        priorityEnabled: false,
        partitioned: false,
        ...idle,
      },
      { name: 'tenants', partitionConcurrency: 1, priorityEnabled: true, partitioned: true, ...idle },
    ],
  });

  expect((await answer('queue', 'pause', 'mail')).stdout).toBe('mail: paused; what runs goes on\n');
  expect(await json('queue', 'pause', 'mail')).toEqual({ name: 'mail', paused: true, changed: false });
  const [first, , later] = await app.startWorkflows([
    { workflow: mail, args: ['ada'], queueName: 'mail', workflowID: 'to-ada' },
    { workflow: mail, args: ['bob'], queueName: 'mail', workflowID: 'to-bob' },
    { workflow: mail, args: ['eve'], queueName: 'mail', workflowID: 'to-eve', delay: '1h' },
  ]);
  const table = (await answer('queue', 'list')).stdout.split('\n').map((line) => line.split(/\s{2,}/));
  expect(table.slice(0, 3).map((line) => line.map((cell) => cell.trim()).filter(Boolean))).toEqual([
    ['QUEUE', 'STATE', 'QUEUED', 'DELAYED', 'RUNNING', 'LIMITS'],
    ['mail', 'paused', '2', '1', '0', '3 at once, 10 in 60 s'],
    ['tenants', 'open', '0', '0', '0', '1 per partition, by priority'],
  ]);

  const listed = async (status: string, queue: string) =>
    (await json<WorkflowList>('workflow', 'list', '--status', status, '--queue', queue)).workflows
      .map(({ workflowID }) => workflowID)
      .toSorted((a, b) => a.localeCompare(b));
  expect(await listed('ENQUEUED', 'mail')).toEqual(['to-ada', 'to-bob']);
  expect(await listed('delayed', 'mail')).toEqual(['to-eve']);
  expect(await listed('ENQUEUED,DELAYED', 'tenants')).toEqual([]);

  expect((await answer('queue', 'resume', 'mail')).stdout).toBe('mail: resumed\n');
  expect((await answer('queue', 'resume', 'mail')).stdout).toBe('mail: left alone, it is not paused\n');
  expect(await first?.getResult()).toBe('ada');
  expect((await later?.getStatus())?.status).toBe('DELAYED');
});
