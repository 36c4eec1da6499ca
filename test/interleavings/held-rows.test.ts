// A transaction of the user's that holds a workflow's row for long: that workflow waits, and nobody else.
import { Pawl } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { quiet } from '../support/drivers.ts';

const FLUSH_WAITS_MS = 2000;

let database: TestDatabase;
let pawl: Pawl;
let user: pg.Client;

beforeAll(async () => {
  database = await createDatabase();
  pawl = new Pawl({ database: database.url, logger: quiet, applicationVersion: '1' });
  await pawl.launch();
  user = new pg.Client(database.url);
  await user.connect();
});

afterEach(() => user.query('ROLLBACK'));

afterAll(async () => {
  await user.end();
  await pawl.shutdown({ graceSeconds: 0 });
  await database.drop();
});

async function holdRow(id: string): Promise<void> {
  await user.query('BEGIN');
  await user.query('SELECT 1 FROM pawl.workflow WHERE id = $1 FOR UPDATE', [id]);
}

test('those in the same flush go on after one wait, and then without any', async () => {
  let release = () => {};
  const together = new Promise<void>((resolve) => (release = resolve));
  let begun = 0;
  const stepping = pawl.registerWorkflow(
    async () => {
      await pawl.runStep(() => (begun++, together), { name: 'together' });
      for (let i = 0; i < 5; i++) await pawl.runStep(() => i, { name: 'more' });
      return 'through';
    },
    { name: 'stepping' },
  );
  const held = await pawl.startWorkflow(stepping, { workflowID: 'held' })();
  const others = await Promise.all(Array.from({ length: 15 }, () => pawl.startWorkflow(stepping)()));
  await expect.poll(() => begun, { interval: 5 }).toBe(16);
  await holdRow('held');
  release();
  const started = performance.now();
  await Promise.all(others.map((handle) => handle.getResult()));
  // Halving what waits, time after time, takes five waits.
  expect(performance.now() - started).toBeLessThan(2 * FLUSH_WAITS_MS);
  const next = performance.now();
  const later = await Promise.all(Array.from({ length: 15 }, () => pawl.startWorkflow(stepping)()));
  await Promise.all(later.map((handle) => handle.getResult()));
  expect(performance.now() - next).toBeLessThan(FLUSH_WAITS_MS / 2);
  await user.query('ROLLBACK');
  expect(await held.getResult({ timeoutSeconds: 5 })).toBe('through');
});

test('an id that a transaction is about to start holds up its other starters, not who shares a flush with them', async () => {
  const stepping = pawl.registerWorkflow(
    async () => {
      await pawl.runStep(() => together, { name: 'together' });
      return pawl.runStep(() => 'through', { name: 'more' });
    },
    { name: 'steppingBeside' },
  );
  let release = () => {};
  const together = new Promise<void>((resolve) => (release = resolve));
  const others = await Promise.all(Array.from({ length: 15 }, () => pawl.startWorkflow(stepping)()));
  await user.query('BEGIN');
  await user.query(`INSERT INTO pawl.workflow (id, name, status, nonce, created_at, updated_at)
    VALUES ('about-to-be', '', 'RESERVED', '', now(), now())`);
  // In the same flush as the checkpoints: all of it happens in this turn.
  const starting = pawl.startWorkflow(stepping, { workflowID: 'about-to-be' })();
  starting.catch(() => {});
  release();
  const began = performance.now();
  await Promise.all(others.map((handle) => handle.getResult()));
  expect(performance.now() - began).toBeLessThan(2 * FLUSH_WAITS_MS);
  await user.query('ROLLBACK');
  const again = await pawl.startWorkflow(stepping, { workflowID: 'about-to-be' })();
  expect(await again.getResult({ timeoutSeconds: 10 })).toBe('through');
});

test('ticks go on though its deadline has passed', async () => {
  const sleeping = pawl.registerWorkflow(() => pawl.sleep('1h'), { name: 'sleeping' });
  const handle = await pawl.startWorkflow(sleeping, { workflowID: 'late', timeout: 200 })();
  await holdRow('late');
  await user.query("UPDATE pawl.workflow SET deadline = now() - interval '1 second' WHERE id = 'late'");
  await user.query("COMMIT; BEGIN; SELECT 1 FROM pawl.workflow WHERE id = 'late' FOR UPDATE");
  const { executor } = internals(pawl).runtime;
  const started = performance.now();
  await executor.tickNow();
  await executor.tickNow();
  expect(performance.now() - started).toBeLessThan(FLUSH_WAITS_MS / 2);
  await user.query('ROLLBACK');
  await expect(handle.getResult({ timeoutSeconds: 5 })).rejects.toMatchObject({
    code: 'PAWL_WORKFLOW_TIMEOUT',
  });
});

test('a shutdown hands over the others at once, and its own later without counting it as a crash', async () => {
  const receiving = pawl.registerWorkflow(() => pawl.recv('go', 600), { name: 'receiving' });
  for (const id of ['handed-1', 'handed-2']) await pawl.startWorkflow(receiving, { workflowID: id })();
  await holdRow('handed-1');
  await pawl.shutdown({ graceSeconds: 0 });
  const owners = await user.query(
    `SELECT owner FROM pawl.workflow WHERE id IN ('handed-1', 'handed-2') ORDER BY id`,
  );
  expect(owners.rows).toMatchObject([{ owner: expect.any(String) }, { owner: null }]);
  await pawl.launch();
  await user.query('ROLLBACK');
  for (const id of ['handed-1', 'handed-2']) {
    await pawl.send(id, id, 'go');
    expect(await pawl.retrieveWorkflow(id).getResult({ timeoutSeconds: 5 })).toBe(id);
    expect((await pawl.getWorkflowStatus(id))?.recoveryAttempts).toBe(0);
  }
});

test('waking and taking over pass by it', async () => {
  const waiting = pawl.registerWorkflow((id: string) => pawl.getEvent(id, 'go', 600), { name: 'waiting' });
  const setting = pawl.registerWorkflow(
    async () => {
      await pawl.recv('set', 600);
      await pawl.setEvent('go', 1);
    },
    { name: 'setting' },
  );
  const source = await pawl.startWorkflow(setting)();
  const ids = ['waits-1', 'waits-2'];
  const handles = await Promise.all(
    ids.map((id) => pawl.startWorkflow(waiting, { workflowID: id })(source.workflowID)),
  );
  const [first, second] = handles;
  await expect
    .poll(async () => (await user.query('SELECT count(*)::int AS n FROM pawl.waiter')).rows[0].n, {
      interval: 5,
    })
    .toBe(2);
  // As if another process had run them, and died.
  await user.query(
    `UPDATE pawl.workflow SET owner = 0, fence = fence + 1 WHERE id IN ('waits-1', 'waits-2')`,
  );
  await user.query(`INSERT INTO pawl.executor (number, executor_id, started_at, lease_until, gone_at)
    VALUES (0, 'dead', now(), now(), now())`);
  await holdRow('waits-1');
  await pawl.send(source.workflowID, 1, 'set');
  expect(await second?.getResult({ timeoutSeconds: 5 })).toBe(1);
  await user.query('ROLLBACK');
  expect(await first?.getResult({ timeoutSeconds: 5 })).toBe(1);
});
