// Deploys under running workflows: what goes on where, what waits for whom, and how one sees it.
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Program, startProgram } from './process.ts';
import type { Deploy } from './processes/deploy.ts';

const DEPLOY = new URL('processes/deploy.ts', import.meta.url);

type Process = Program<Deploy> & { name: string };

let database: TestDatabase;
let processes: Process[] = [];

beforeEach(async () => {
  database = await createDatabase();
  processes = [];
});

afterEach(async () => {
  await Promise.all(processes.map((each) => each.kill()));
  await database.drop();
});

interface Code {
  code?: string;
  serves?: string[];
  versioning?: 'patch';
}

async function deploy(name: string, { code = 'one', serves = [], versioning }: Code = {}): Promise<Process> {
  const program = await startProgram<Deploy>(DEPLOY, {
    DATABASE: database.url,
    NAME: name,
    CODE: code,
    SERVES: serves.join(','),
    // A parked run has no owner that could leave.
    CONFIG: JSON.stringify({ parkAfterSeconds: 60, ...(versioning && { versioning }) }),
  });
  const started = Object.assign(program, { name });
  processes.push(started);
  await started.call('launch');
  return started;
}

async function startWaiting(on: Process, name: string, ids: string[]): Promise<void> {
  await Promise.all(ids.map((id) => on.call('start', name, id)));
  await expect.poll(() => on.call('waiting', ids), { interval: 20, timeout: 10_000 }).toEqual(ids);
}

async function leave(process: Process): Promise<void> {
  await process.call('shutdown');
  await process.kill();
}

const runBy = (on: Process, id: string) =>
  expect.poll(async () => (await on.call('status', id))?.executorID, { interval: 20, timeout: 10_000 });

const blocked = (on: Process, id: string) =>
  expect.poll(async () => (await on.call('status', id))?.blocked, { interval: 50, timeout: 15_000 });

/** What these processes said about blocked workflows. */
async function warnings(...of: Process[]): Promise<string[]> {
  const logs = await Promise.all(of.map((each) => each.call('logged')));
  return logs
    .flatMap((log) => log.map(({ message }) => message))
    .filter((message) => /blocked/.test(message));
}

test('a deploy that leaves the code of a workflow alone strands none of its runs', async () => {
  const ids = Array.from({ length: 20 }, (_, i) => `run ${i}`);
  const one = await deploy('one');
  await startWaiting(one, 'unchanged', ids);
  const two = await deploy('two', { code: 'two' });
  await leave(one);
  for (const id of ids) {
    await two.call('go', id);
    expect(await two.call('result', id)).toEqual(['before by one', 'go', 'after by two']);
  }
  expect(await warnings(two)).toEqual([]);
});

test('changed code: runs go on where their version is, are blocked visibly when it is nowhere, and go on with resume', async () => {
  const oneA = await deploy('one a');
  await startWaiting(oneA, 'changed', ['first', 'second']);
  const oneB = await deploy('one b');
  const twoA = await deploy('two a', { code: 'two' });
  const twoB = await deploy('two b', { code: 'two' });

  // The owner dies: it is the other process of version one that takes over.
  await oneA.kill();
  await runBy(twoA, 'first').toBe('one b');
  await twoA.call('go', 'first');
  expect(await twoA.call('result', 'first')).toEqual(['reserve by one a', 'go', 'ship by one b']);

  // The last one of version one leaves.
  const version = (await twoA.call('status', 'second'))?.applicationVersion as string;
  await leave(oneB);
  await blocked(twoA, 'second').toContain(
    `No living process serves workflow "changed" in version ${version}.`,
  );
  expect(await twoB.call('status', 'second')).toMatchObject({
    status: 'PENDING',
    executorID: null,
    parked: false,
    recoveryAttempts: 1,
  });
  const { workflows } = await twoB.call('list', { status: 'PENDING' });
  expect(workflows).toMatchObject([{ workflowID: 'second', blocked: expect.stringContaining(version) }]);
  expect(await warnings(twoA, twoB)).toEqual([
    expect.stringMatching(/^1 workflow is blocked\. No living process serves workflow "changed"/),
  ]);

  // A process of version one comes back, and leaves again.
  const oneC = await deploy('one c');
  await runBy(twoA, 'second').toBe('one c');
  expect((await twoA.call('status', 'second'))?.blocked).toBeNull();
  await leave(oneC);
  await blocked(twoA, 'second').toContain(version);
  expect(await warnings(twoA, twoB)).toHaveLength(2);

  // Somebody decides that version two shall go on with it.
  await twoA.call('resume', 'second');
  await twoA.call('go', 'second');
  expect(await twoB.call('result', 'second')).toEqual([
    'reserve by one a',
    'go',
    expect.stringMatching(/^pack by two [ab]$/),
    expect.stringMatching(/^ship by two [ab]$/),
  ]);
  await twoA.call('start', 'changed', 'third');
  const [second, third] = [await twoA.call('status', 'second'), await twoA.call('status', 'third')];
  expect(second).toMatchObject({ blocked: null, applicationVersion: third?.applicationVersion });
  expect(second?.applicationVersion).not.toBe(version);
}, 60_000);

test("with versioning: 'patch' any process goes on with any run, and patch() says which way", async () => {
  const one = await deploy('one', { versioning: 'patch' });
  await startWaiting(one, 'patched', ['old run']);
  const two = await deploy('two', { code: 'two', versioning: 'patch' });
  await leave(one);
  await startWaiting(two, 'patched', ['new run', 'newer run']);
  await two.call('go', 'old run');
  await two.call('go', 'new run');
  expect(await two.call('result', 'old run')).toEqual([
    ...['reserve by one', 'charge by one', 'go', 'ship by two'],
  ]);
  expect(await two.call('result', 'new run')).toEqual([
    ...['reserve by two', 'hold by two', 'go', 'ship by two'],
  ]);
  expect(await two.call('steps', 'new run')).toEqual(['reserve', 'hold first', 'hold', 'go', 'ship']);

  // No run goes the old way any more: the next deploy lets the markers go.
  const three = await deploy('three', { code: 'three', versioning: 'patch' });
  await leave(two);
  await startWaiting(three, 'patched', ['newest run']);
  for (const id of ['newer run', 'newest run']) await three.call('go', id);
  expect(await three.call('result', 'newer run')).toEqual([
    ...['reserve by two', 'hold by two', 'go', 'ship by three'],
  ]);
  expect(await three.call('result', 'newest run')).toHaveLength(4);
  expect(await three.call('steps', 'newest run')).toEqual(['reserve', 'hold', 'go', 'ship']);
  expect(await warnings(three)).toEqual([]);
});

test("with versioning: 'patch' a run that old code cannot go on with waits for new code, once the old is gone", async () => {
  const one = await deploy('one', { versioning: 'patch' });
  const twoA = await deploy('two a', { code: 'two', versioning: 'patch' });
  const twoB = await deploy('two b', { code: 'two', versioning: 'patch' });
  await startWaiting(twoA, 'patched', ['run']);
  // Nobody else is there to take it over.
  await twoB.kill('SIGSTOP');
  await twoA.kill();
  await blocked(one, 'run').toContain('NonDeterminismError');
  await twoB.kill('SIGCONT');
  await leave(one);
  await twoB.call('go', 'run');
  expect(await twoB.call('result', 'run')).toEqual([
    ...['reserve by two a', 'hold by two a', 'go', 'ship by two b'],
  ]);
  expect(await twoB.call('status', 'run')).toMatchObject({ recoveryAttempts: 1, blocked: null });
}, 30_000);

test('processes that register different workflows share a database, and leave each other theirs', async () => {
  const orders = await deploy('orders', { serves: ['ordered'] });
  const others = await deploy('others', { serves: ['unchanged'] });
  await startWaiting(orders, 'ordered', ['order 1', 'order 2']);
  await startWaiting(others, 'unchanged', ['other']);
  await others.call('go', 'order 1');
  await orders.call('go', 'other');
  expect(await others.call('result', 'order 1')).toEqual([
    ...['reserve by orders', 'charge by orders', 'go', 'ship by orders'],
  ]);
  expect(await orders.call('result', 'other')).toEqual(['before by others', 'go', 'after by others']);

  await orders.kill();
  await blocked(others, 'order 2').toContain('No living process serves workflow "ordered"');
  await others.call('go', 'order 2');
  const again = await deploy('orders again', { serves: ['ordered'] });
  expect(await again.call('result', 'order 2')).toEqual([
    ...['reserve by orders', 'charge by orders', 'go', 'ship by orders again'],
  ]);
  expect(await warnings(others)).toHaveLength(1);
}, 30_000);

test('another order of steps is a NonDeterminismError with both sides, and the fixed deploy completes the run', async () => {
  const one = await deploy('one');
  await startWaiting(one, 'ordered', ['order']);
  await leave(one);
  const swapped = await deploy('swapped', { code: 'swapped' });
  const says = 'At step 0 the journal has step "reserve", but the code called step "charge".';
  await blocked(swapped, 'order').toContain('NonDeterminismError: Workflow "order" (ordered)');
  expect(await swapped.call('status', 'order')).toMatchObject({
    status: 'PENDING',
    executorID: null,
    recoveryAttempts: 0,
    blocked: expect.stringContaining(says),
  });
  const logs = (await swapped.call('logged')).filter(({ fields }) => fields['workflowID'] === 'order');
  expect(logs).toMatchObject([{ level: 'error', message: expect.stringContaining(says) }]);

  const fixed = await deploy('fixed');
  await fixed.call('go', 'order');
  expect(await fixed.call('result', 'order')).toEqual([
    ...['reserve by one', 'charge by one', 'go', 'ship by fixed'],
  ]);
});
