// docs/queues.md: its samples do what the page says.
import type { Pawl, Workflow, WorkflowHandle } from '@pawl/core';
import { expect, test } from 'vitest';
import { read, samplesIn } from './samples.ts';
import { sent } from './surroundings/your-mail.ts';

const PAGE = 'docs/queues.md';
const { sample, run, sql, atEnd } = samplesIn(PAGE);

test('a mail goes through its queue; a trigger starts one if, and only if, its transaction commits', async () => {
  const { pawl, handle } = await run<{ pawl: Pawl; handle: WorkflowHandle<void> }>(
    'mail',
    sample("import { sendMail } from './your-mail.ts'"),
    'CREATE TABLE users (id text, address text)',
  );
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
  await handle.getResult();
  expect(await handle.getStatus()).toMatchObject({ queueName: 'mail', name: 'welcome' });
  expect(sent).toEqual([{ address: 'ada@example.com', key: expect.stringContaining(handle.workflowID) }]);

  const [trigger = ''] = [...read(PAGE).matchAll(/^```sql\n(.*?)^```$/gms)].map(([, code = '']) => code);
  await sql(trigger);
  await sql(`BEGIN; INSERT INTO users VALUES ('7', 'eve@example.com'); ROLLBACK`);
  await sql(`INSERT INTO users VALUES ('8', 'bob@example.com')`);
  await pawl.retrieveWorkflow('welcome-8').getResult();
  expect(sent.map(({ address }) => address)).toEqual(['ada@example.com', 'bob@example.com']);
  expect(await pawl.getWorkflowStatus('welcome-7')).toBeNull();
  expect(await pawl.listQueues()).toMatchObject([
    { name: 'mail', concurrency: 10, rateLimit: { limit: 100, periodSeconds: 60 }, queued: 0, running: 0 },
  ]);
});

test('a user and the mail to that user are one transaction', async () => {
  const { register } = await run<{ register: (id: string, address: string) => Promise<unknown> }>(
    'register',
    sample('export const register'),
    'CREATE TABLE users (id text PRIMARY KEY, address text)',
  );
  const { pawl } = await import('./surroundings/your-mail.ts');
  await pawl.launch();
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
  sent.length = 0;
  await register('1', 'ada@example.com');
  await expect(register('1', 'eve@example.com')).rejects.toMatchObject({ code: '23505' });
  await expect.poll(() => sent.map(({ address }) => address)).toEqual(['ada@example.com']);
  expect((await pawl.listWorkflows()).workflows).toHaveLength(1);
});

test('what a start says decides who is first, who waits and who is refused', async () => {
  await run('starts', sample('priority: -1'));
  const { pawl, report, reported } = await import('./surroundings/your-reports-queue.ts');
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
  await expect(
    pawl.startWorkflow(report, { queueName: 'reports', deduplicationID: 'acme-may' })('twice'),
  ).rejects.toThrow('acme-may');
  await expect(pawl.startWorkflow(report, { queueName: 'tenants' })('whose?')).rejects.toThrow(
    'partitionKey',
  );
  await expect.poll(() => reported).toEqual(['for acme']);
  await pawl.resumeQueue('reports');
  await expect.poll(() => reported).toEqual(['for acme', 'urgent', 'once', 'acme', 'umbrella']);
  const { workflows } = await pawl.listQueuedWorkflows();
  expect(workflows.map(({ status, queueName }) => [status, queueName])).toEqual(
    expect.arrayContaining([
      ['DELAYED', 'reports'],
      ['DELAYED', null],
    ]),
  );
});

test('films wait for their scenes; in the queue of the scenes they wait for ever, or until it has more room', async () => {
  const { film } = await run<{ film: Workflow<[string[]], string[]> }>(
    'films',
    sample("queueName: 'scenes'"),
  );
  const { pawl } = await import('./surroundings/your-films.ts');
  await pawl.launch();
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
  const films = await pawl.startWorkflows(
    [1, 2, 3].map(() => ({ workflow: film, args: [['A', 'B']], queueName: 'films' })),
  );
  expect(await pawl.waitAll(films)).toEqual([1, 2, 3].map(() => ['A in colour', 'B in colour']));

  pawl.registerQueue('scenes', { concurrency: 2 });
  const stuck = await pawl.startWorkflows(
    [1, 2].map(() => ({ workflow: film, args: [['C']], queueName: 'scenes' })),
  );
  const held = async () => (await pawl.listQueues()).find(({ name }) => name === 'scenes');
  await expect.poll(held).toMatchObject({ running: 2, queued: 2 });
  pawl.registerQueue('scenes', { concurrency: 3 });
  expect(await pawl.waitAll(stuck)).toEqual([['C in colour'], ['C in colour']]);

  pawl.registerQueue('scenes', { workerConcurrency: 1 });
  const alone = await pawl.startWorkflow(film, { queueName: 'scenes' })(['D']);
  expect(await alone.getResult()).toEqual(['D in colour']);
});
