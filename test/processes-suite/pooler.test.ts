// Processes behind PgBouncer in transaction mode: leases and polling instead of locks and hints. How they take over from
// each other is in recovery.test.ts.
import {
  createDatabase,
  noPgBouncer,
  type PgBouncer,
  startPgBouncer,
  type TestDatabase,
} from '@pawl/test-support';
import { Pawl } from '@pawl/core';
import { quiet } from '@pawl/test-support/drivers';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createWorkers, type Workers } from './workers.ts';

let database: TestDatabase;
let bouncer: PgBouncer;
let workers: Workers;

const config = { leaseSeconds: 1 };

async function query<Row extends pg.QueryResultRow>(url: string, text: string, times = 1): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const rows: Row[] = [];
  for (let i = 0; i < times; i++) rows.push(...(await client.query<Row>(text)).rows);
  await client.end();
  return rows;
}

describe.skipIf(noPgBouncer !== undefined)('behind a transaction pooler', () => {
  beforeEach(async () => {
    database = await createDatabase();
    bouncer = await startPgBouncer();
    workers = createWorkers(bouncer.through(database.url));
  });

  afterEach(async () => {
    await workers.end();
    await bouncer.stop();
    await database.drop();
  });

  test('living processes keep what they run, and hear of each other by polling', async () => {
    const [one, other] = [await workers.start({ config }), await workers.start({ config })];
    await one.call('start', 'announcer', 'announcer');
    await one.call('start', 'stubborn', 'cancelled');
    await workers.noted('cancelled', 'stubborn');
    const event = other.call('timeOfEvent', 'announcer');
    const result = other.call('timeOfResult', 'announcer');
    // Several leases long: nobody is taken for dead.
    await one.call('start', 'steps', 'long', 25, 100);
    expect(await other.call('result', 'long')).toBe(25);
    expect((await other.call('status', 'long'))?.recoveryAttempts).toBe(0);
    const sent = await other.call('send', 'announcer', 'go');
    expect(await event).toBeGreaterThanOrEqual(sent);
    expect(await result).toBeGreaterThanOrEqual(sent);
    await other.call('cancel', 'cancelled');
    await workers.noted('cancelled', 'ended by WorkflowCancelledError');
    await one.call('start', 'steps', 'handed', 20, 20);
    await workers.noted('handed', 'step 2');
    await one.call('shutdown');
    expect(await other.call('result', 'handed')).toBe(20);
    expect(workers.notes('handed')).toHaveLength(20);
    expect((await other.call('status', 'handed'))?.recoveryAttempts).toBe(0);
  });

  test('nothing is left behind on the backends that others use', async () => {
    const worker = await workers.start({ config });
    await worker.call('startMany', 50, 'one');
    await worker.call('startMany', 50, 'transact');
    const locks = await query(
      database.url,
      `SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
       WHERE l.locktype = 'advisory'`,
    );
    expect(locks).toEqual([]);
    const left = await query(
      bouncer.through(database.url),
      `SELECT current_setting('lock_timeout') AS lock_timeout, current_setting('plan_cache_mode') AS plans,
         (SELECT count(*)::int FROM pg_prepared_statements) AS prepared,
         (SELECT count(*)::int FROM pg_listening_channels()) AS listening`,
      12,
    );
    expect(new Set(left.map((row) => JSON.stringify(row)))).toEqual(
      new Set([JSON.stringify({ lock_timeout: '0', plans: 'auto', prepared: 0, listening: 0 })]),
    );
  });

  test('the pooler is noticed though it gives the same backend each time, and launch says what that means', async () => {
    const sticky = await startPgBouncer({ sameBackend: true });
    const warnings: unknown[] = [];
    const pawl = new Pawl({
      database: sticky.through(database.url),
      logger: { ...quiet, warn: (...args) => warnings.push(args[0]) },
    });
    const echo = pawl.registerWorkflow(async (n: number) => pawl.runStep(() => n), { name: 'echo' });
    try {
      await pawl.launch();
      expect(await echo(1)).toBe(1);
      expect(warnings).toEqual([expect.stringContaining('transaction pooler')]);
      const executors = await query<{ locked: boolean }>(
        database.url,
        'SELECT locked FROM pawl.executor WHERE gone_at IS NULL',
      );
      expect(executors).toEqual([{ locked: false }]);
      const listening = 'SELECT pg_listening_channels()';
      expect(await query(sticky.through(database.url), listening)).toEqual([]);
    } finally {
      await pawl.shutdown();
      await sticky.stop();
    }
  });
});
