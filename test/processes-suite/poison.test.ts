// Workflows that take their process with them, again and again.
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Program } from './process.ts';
import type { Worker } from './processes/worker.ts';
import { createWorkers, type Workers } from './workers.ts';

let database: TestDatabase;
let workers: Workers;
let witness: Program<Worker>;

beforeAll(async () => {
  database = await createDatabase();
  workers = createWorkers(database.url);
  witness = await workers.start({ without: ['poison', 'fragile'] });
});

afterAll(async () => {
  await workers.end();
  await database.drop();
});

test('a workflow that kills whoever runs it is given up after maxRecoveryAttempts, its neighbours go on, and so may it', async () => {
  const first = await workers.start();
  await first.call('start', 'receiver', 'neighbour');
  await workers.noted('neighbour', 'before');
  const told = expect(witness.call('result', 'poison')).rejects.toThrow('MaxRecoveryAttemptsExceededError');
  first.call('start', 'poison', 'poison').catch(() => {});
  expect(await first.ended).toBe('SIGKILL');
  for (let attempt = 1; attempt <= 2; attempt++) {
    const next = await workers.open();
    // It may die while it launches.
    next.call('launch').catch(() => {});
    expect(await next.ended).toBe('SIGKILL');
  }
  const last = await workers.start();
  await told;
  expect(workers.notes('poison')).toHaveLength(3);
  expect(await witness.call('status', 'poison')).toMatchObject({
    status: 'MAX_RECOVERY_ATTEMPTS_EXCEEDED',
    recoveryAttempts: 3,
  });
  await last.call('send', 'neighbour', 'hello');
  expect(await last.call('result', 'neighbour')).toBe('hello');
  // A resume gives it a new start: its deaths are counted from nothing.
  await witness.call('resume', 'poison');
  expect(await last.ended).toBe('SIGKILL');
  const immune = await workers.start({ immune: true });
  expect(await witness.call('result', 'poison')).toBe('survived');
  expect(workers.notes('poison')).toHaveLength(5);
  expect((await witness.call('status', 'poison'))?.recoveryAttempts).toBe(1);
  await immune.kill();
}, 60_000);

test('with maxRecoveryAttempts 0 it is not run again after a crash', async () => {
  const runner = await workers.start();
  await runner.call('start', 'fragile', 'fragile');
  await workers.noted('fragile', 'before');
  await runner.kill();
  const peer = await workers.start();
  await expect(peer.call('result', 'fragile')).rejects.toThrow('MaxRecoveryAttemptsExceededError');
  expect(workers.notes('fragile')).toHaveLength(1);
  await peer.kill();
});
