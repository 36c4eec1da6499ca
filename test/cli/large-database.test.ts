// `pawl` on a database with 100,000 workflows in all states, while a process runs others there: what each command does,
// and the documents of `--json`, whose fields programs rely on.
import type { ExecutorInfo, StepInfo, WorkflowList, WorkflowStatus } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Program } from '../processes-suite/process.ts';
import type { Worker } from '../processes-suite/processes/worker.ts';
import { createWorkers, type Workers } from '../processes-suite/workers.ts';
import { type CommandLine, createCommandLine, runHere } from './command-line.ts';
import { seed, SEEDED } from './seed.ts';

let database: TestDatabase;
let pawl: CommandLine;
let workers: Workers;
let worker: Program<Worker>;
let env: { DATABASE_URL: string };

const json = <T>(...args: string[]) => pawl.json<T>(args, { env });
/** The answer for people. */
const people = async (...args: string[]) => {
  const { exitCode, stdout, stderr } = await runHere([...args, '--database', database.url]);
  expect([exitCode, stderr.includes('pawl:')]).toEqual([0, false]);
  return stdout;
};

beforeAll(async () => {
  [database, pawl] = await Promise.all([createDatabase(), createCommandLine()]);
  env = { DATABASE_URL: database.url };
  workers = createWorkers(database.url);
  const migrated = await json<{ schema: string; applied: string[] }>('migrate');
  expect(migrated).toEqual({ schema: 'pawl', applied: expect.arrayContaining(['tables', 'flush']) });
  expect(await json('migrate')).toEqual({ schema: 'pawl', applied: [] });
  await seed(database.url);
  worker = await workers.start({ config: { retention: false } });
}, 180_000);

afterAll(async () => {
  await workers?.end();
  await pawl?.remove();
  await database?.drop();
});

test('list gives pages of all states, newest first, while others are being started', async () => {
  const busy = worker.call('startMany', 200, 'one');
  const seen: string[] = [];
  let cursor: string | null | undefined;
  do {
    const page = await json<WorkflowList>(
      ...['workflow', 'list', '--id-prefix', 'seeded-', '--limit', '10000', '--since', '70d'],
      ...(cursor ? ['--cursor', cursor] : []),
    );
    seen.push(...page.workflows.map(({ workflowID }) => workflowID));
    ({ cursor } = page);
  } while (cursor);
  expect(seen[0]).toBe(`seeded-${SEEDED - 1}`);
  expect(new Set(seen).size).toBe(seen.length);
  // One every five minutes, for 70 days.
  expect(seen.length).toBeGreaterThanOrEqual(20_150);
  expect(seen.length).toBeLessThanOrEqual(20_160);
  await busy;

  for (const status of ['error', 'enqueued,delayed', 'max_recovery_attempts_exceeded', 'CANCELLED']) {
    const page = await people('workflow', 'list', '--status', status, '--limit', '50', '--json');
    const { workflows } = JSON.parse(page) as WorkflowList;
    expect(workflows).toHaveLength(50);
    const found = new Set(workflows.map((workflow) => workflow.status));
    expect(found).toEqual(new Set(status.toUpperCase().split(',')));
  }
});

test('list filters by every column that it offers', async () => {
  const list = async (...args: string[]) =>
    (JSON.parse(await people('workflow', 'list', '--json', ...args)) as WorkflowList).workflows.map(
      ({ workflowID }) => workflowID,
    );
  expect(await list('--user', 'ada', '--name', 'checkout', '--limit', '2', '--oldest-first')).toEqual([
    'seeded-0',
    'seeded-21',
  ]);
  expect(await list('--attribute', 'customer=999', '--queue', 'mail', '--limit', '1')).toEqual([]);
  expect(await list('--attribute', 'customer=995', '--queue', 'mail', '--limit', '1')).toEqual([
    'seeded-99995',
  ]);
  expect(await list('--application-version', 'v2', '--id-prefix', 'seeded-9999')).toEqual([
    'seeded-99998',
    'seeded-99994',
    'seeded-99990',
  ]);
  expect(await list('--parent', 'nobody')).toEqual([]);
});

test('for people, list is a table, and says on standard error how to go on', async () => {
  const { stdout, stderr } = await pawl.run(
    ['workflow', 'list', '--id-prefix', 'seeded-9999', '--limit', '7'],
    { env },
  );
  expect(stdout.replaceAll(/ +\d+m/g, '  5m')).toBe(`\
ID            NAME                       STATUS                          AGE    TOOK
seeded-99999  checkout                   PENDING, blocked  5m
seeded-99998  sendNewsletterToEverybody  PENDING, parked  5m
seeded-99997  refund                     PENDING, parked  5m
seeded-99996  checkout                   DELAYED  5m
seeded-99995  sendNewsletterToEverybody  ENQUEUED  5m
seeded-99994  refund                     MAX_RECOVERY_ATTEMPTS_EXCEEDED  5m  49.9 s
seeded-99993  checkout                   CANCELLED  5m  49.9 s
`);
  expect(stderr).toMatch(/^There are more: repeat with --cursor \S+\n$/);
  const none = await runHere(['workflow', 'list', '--name', 'nothing', '--database', database.url]);
  expect(none).toEqual({ exitCode: 0, stdout: '', stderr: 'No workflow matches.\n' });
});

test('get, steps and events show what is stored, Dates as Dates', async () => {
  const found = await json<WorkflowStatus>('workflow', 'get', 'seeded-40');
  expect(found).toMatchObject({
    workflowID: 'seeded-40',
    status: 'SUCCESS',
    name: 'refund',
    input: [{ sku: 'widget', amount: 40 }],
    output: { shipped: { $pawl: 'Date', v: '2026-01-31T12:00:00.000Z' } },
    attributes: { customer: 40 },
  });
  expect(await people('workflow', 'get', 'seeded-40')).toContain(
    "Input\n{ sku: 'widget', amount: 40 }\n\nOutput\n{ shipped: 2026-01-31T12:00:00.000Z }\n",
  );
  const failed = await json<WorkflowStatus>('workflow', 'get', 'seeded-51');
  expect(failed.error).toMatchObject({ name: 'Error', message: 'card declined' });
  expect(await people('workflow', 'get', 'seeded-51')).toContain(
    'Error: card declined\n    at charge (shop.ts:7)',
  );
  expect(await people('workflow', 'get', 'seeded-59')).toMatch(/^Blocked +Step 2 was recorded as "charge"/m);

  const { steps } = await json<{ steps: StepInfo[] }>('workflow', 'steps', 'seeded-40');
  expect(steps).toMatchObject([
    { stepID: 0, kind: 'step', name: 'reserve', output: { ok: true }, error: null, attempts: 1 },
    { stepID: 1, kind: 'step', name: 'charge', output: { ok: true } },
  ]);
  expect(await people('workflow', 'steps', 'seeded-40')).toMatch(/^ +1 +step +charge +1 .* \{ ok: true \}$/m);

  const { events } = await json<{ events: unknown[] }>('workflow', 'events', 'seeded-40');
  expect(events).toMatchObject([0, 50, 100].map((value, seq) => ({ key: 'progress', seq, value })));
  expect(await people('workflow', 'events', 'seeded-40')).toMatch(/Z {2}progress {2}100\n$/);
});

test('a message reaches a workflow that runs, once per key; what it waits for is seen', async () => {
  await worker.call('start', 'receiver', 'waits');
  await workers.noted('waits', 'before');
  await expect.poll(() => people('workflow', 'steps', 'waits')).toMatch(/ recv +go .* waits$/m);
  const send = ['send', 'waits', '{"amount":5}', '--topic', 'go', '--idempotency-key', 'k'];
  expect(await json(...send)).toEqual({ workflowID: 'waits', topic: 'go' });
  expect(await people(...send)).toBe('waits: sent to topic "go"\n');
  expect(await worker.call('result', 'waits')).toEqual({ amount: 5 });

  await json('send', 'later', 'a text', '--text', '--topic', 'go', '--park');
  await worker.call('start', 'receiver', 'later');
  expect(await worker.call('result', 'later')).toBe('a text');
  await worker.call('start', 'receiver', 'date');
  const date = '{"$pawl":"Date","v":"2026-01-31T12:00:00.000Z"}';
  expect((await pawl.run(['send', 'date', '-', '--topic', 'go'], { env, input: date })).exitCode).toBe(0);
  expect(await worker.call('result', 'date')).toEqual(new Date('2026-01-31T12:00:00Z'));
});

test('cancel ends a tree where it runs; resume lets it go on; what has ended is left alone', async () => {
  await worker.call('start', 'parent', 'tree', 'branch');
  await workers.noted('branch', 'before');
  const cancelled = await json<{ workflows: unknown[] }>(
    'workflow',
    'cancel',
    'tree',
    'seeded-40',
    '--children',
  );
  expect(cancelled.workflows).toEqual([
    { workflowID: 'tree', status: 'CANCELLED', changed: true },
    { workflowID: 'seeded-40', status: 'SUCCESS', changed: false },
    { workflowID: 'branch', status: 'CANCELLED', changed: true },
  ]);
  await workers.noted('branch', 'ended by WorkflowCancelledError');
  expect(await people('workflow', 'cancel', 'tree')).toBe('tree: left alone, it has ended (CANCELLED)\n');
  expect(await people('workflow', 'resume', 'tree', 'branch', 'seeded-40')).toBe(
    'tree: resumed\nbranch: resumed\nseeded-40: left alone, it has ended (SUCCESS); restart or fork it instead\n',
  );
  await json('send', 'branch', '"done"', '--topic', 'go');
  await worker.call('result', 'branch');
  const given = await json<{ workflows: WorkflowStatus[] }>('workflow', 'resume', 'seeded-54', 'seeded-59');
  expect(given.workflows).toMatchObject([
    { workflowID: 'seeded-54', status: 'PENDING', changed: true },
    { workflowID: 'seeded-59', status: 'PENDING', changed: true },
  ]);
});

test('restart runs all steps again, fork those from a step on, each as a new workflow that runs', async () => {
  await worker.call('start', 'steps', 'original', 3, 0);
  await worker.call('result', 'original');
  const restarted = await json<{ workflowID: string }>('workflow', 'restart', 'original');
  expect(restarted).toEqual({
    workflowID: expect.stringMatching(/^[\w-]{36}$/),
    forkedFrom: 'original',
    fromStep: 0,
  });
  expect(await worker.call('result', restarted.workflowID)).toBe(3);
  expect(workers.notes(restarted.workflowID).map(({ what }) => what)).toEqual(['step 0', 'step 1', 'step 2']);
  expect(await people('workflow', 'fork', 'original', '--from-step', '2', '--new-id', 'forked')).toBe(
    'forked\n',
  );
  expect(await worker.call('result', 'forked')).toBe(3);
  expect(workers.notes('forked').map(({ what }) => what)).toEqual(['step 2']);
  const again = await pawl.run(['workflow', 'restart', 'original', '--new-id', 'forked'], { env });
  expect(again).toMatchObject({
    exitCode: 1,
    stdout: '',
    stderr: expect.stringContaining('"forked" exists already'),
  });
});

test('delete removes what has ended, and what has not only by force; without a terminal it wants --yes', async () => {
  await worker.call('start', 'receiver', 'unfinished');
  expect(await pawl.run(['workflow', 'delete', 'seeded-1'], { env })).toEqual({
    exitCode: 2,
    stdout: '',
    stderr: 'pawl: Deleting cannot be undone: say --yes where there is nobody to ask.\n',
  });
  expect(await pawl.run(['workflow', 'delete', 'seeded-1', 'unfinished', '--yes'], { env })).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: 'pawl: Nothing was deleted: unfinished has not ended. Cancel first, or say --force.\n',
  });
  expect((await json<WorkflowStatus>('workflow', 'get', 'seeded-1')).status).toBe('SUCCESS');
  expect(await json('workflow', 'delete', 'seeded-1', 'seeded-1', '--yes')).toEqual({
    deleted: ['seeded-1'],
  });
  expect(await people('workflow', 'delete', 'unfinished', '--yes', '--force')).toBe('unfinished: deleted\n');
  for (const id of ['seeded-1', 'unfinished'])
    expect((await runHere(['workflow', 'get', id, '--database', database.url])).exitCode).toBe(5);
  expect(await worker.call('status', 'unfinished')).toBeNull();
});

test('at a terminal delete asks, and takes nothing but yes for a yes', async () => {
  const command = ['workflow', 'delete', 'seeded-2', 'seeded-3', '--database', database.url];
  for (const typed of ['\n', 'n\n', 'yesterday\n', '']) {
    const { exitCode, stdout, stderr } = await runHere(command, { typed });
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain('  seeded-2  sendNewsletterToEverybody  SUCCESS\n');
    expect(stderr).toContain('Delete these 2 workflows with steps, events and messages, for good? [y/N]');
    expect(stderr).toMatch(/\npawl: Nothing was deleted\.\n$/);
  }
  const { exitCode, stdout } = await runHere(command, { typed: 'y\n' });
  expect([exitCode, stdout]).toEqual([0, 'seeded-2: deleted\nseeded-3: deleted\n']);
});

test('executor list shows who is alive and what it runs; the command line itself is not one of them', async () => {
  await worker.call('start', 'receiver', 'running');
  const second = await workers.start({ config: { retention: false } });
  const alive = async () => (await json<{ executors: ExecutorInfo[] }>('executor', 'list')).executors;
  const both = await alive();
  expect(both).toMatchObject([
    { pid: worker.pid, alive: true, goneAt: null },
    { pid: second.pid, alive: true, active: 0 },
  ]);
  expect(both[0]?.active).toBeGreaterThan(0);
  expect(await people('executor', 'list')).toMatch(new RegExp(`alive +\\d+ +\\S+ +${second.pid} `));
  await second.call('shutdown');
  expect(await alive()).toHaveLength(1);
  const all = await json<{ executors: ExecutorInfo[] }>('executor', 'list', '--all');
  expect(all.executors.find(({ pid }) => pid === second.pid)).toMatchObject({ alive: false });
});

test('the output may be cut off by who reads it', async () => {
  const { stdout, exitCode } = await pawl.run(['workflow', 'list', '--limit', '2000'], { env, lines: 1 });
  expect([stdout.split('\n')[0]?.trim().split(/ +/)[0], exitCode]).toEqual(['ID', 0]);
});
