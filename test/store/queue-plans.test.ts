// What taking out of queues reads does not grow with what waits, nor with who holds a slot: counted in rows.
// PAWL_QUEUE_ROWS=100000 makes more of them.
import { Pawl } from '@pawl/core';
import { copyWorkflow, createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROWS = Number(process.env['PAWL_QUEUE_ROWS'] ?? 10_000);
const PARTITIONS = 1000;
const QUEUES = Array.from({ length: 50 }, (_, i) => `some-${i}`);

let database: TestDatabase;
/** One that has its plans from when there was next to nothing, and one that makes its own. */
let early: pg.Client;
let client: pg.Client;

beforeAll(async () => {
  database = await createDatabase();
  early = new pg.Client({ connectionString: database.url });
  client = new pg.Client({ connectionString: database.url });
  await Promise.all([early.connect(), client.connect()]);
  const pawl = new Pawl({ database: database.url, logger: quiet, queues: [] });
  const job = pawl.registerWorkflow(async () => {}, { name: 'job' });
  pawl.registerQueue('plain');
  pawl.registerQueue('limited', { concurrency: 50, rateLimit: { limit: 60, periodSeconds: 60 } });
  pawl.registerQueue('parts', { partitioned: true, partitionConcurrency: 1 });
  pawl.registerQueue('holders');
  for (const name of QUEUES) pawl.registerQueue(name, { concurrency: 10 });
  await pawl.launch();
  const start = (queueName: string, params = {}) =>
    pawl.startWorkflow(job, { workflowID: queueName, queueName, ...params })();
  for (const name of ['plain', 'limited', 'holders', ...QUEUES]) await start(name);
  await start('parts', { partitionKey: 'p' });
  await start('plain', { workflowID: 'delayed', delay: '1h' });
  await pawl.shutdown();
  await client.query(`INSERT INTO pawl.executor (number, executor_id, started_at, lease_until)
    VALUES (99, 'x', now(), now() + interval '1 hour')`);
  await early.query('BEGIN; SET LOCAL plan_cache_mode = force_generic_plan');
  await fill(early, 20);
  for (const [, call] of calls) {
    await early.query('SAVEPOINT before');
    await early.query(call);
    await early.query('ROLLBACK TO before');
  }
  await early.query('ROLLBACK');
  await fill(client, ROWS);
});

async function fill(on: pg.Client, count: number): Promise<void> {
  const query = (text: string) => on.query<Record<string, unknown>>(text);
  for (const from of ['plain', 'limited', 'parts', 'holders', 'delayed'])
    await copyWorkflow(query, { from, prefix: from, count });
  for (const from of QUEUES) await copyWorkflow(query, { from, prefix: from, count: 5 });
  await query(
    `UPDATE pawl.workflow SET partition_key = 'p' || position % ${PARTITIONS} WHERE queue_name = 'parts'`,
  );
  await query(
    `UPDATE pawl.workflow SET status = 'PENDING', owner = 98 WHERE queue_name = 'holders' AND id <> 'holders'`,
  );
}

afterAll(async () => {
  await Promise.all([early.end(), client.end()]);
  await database.drop();
});

const dispatch = (queues: string, limit = 100) =>
  `SELECT * FROM pawl.dispatch(99, ${limit}, '{job}', '{v}', true, ${queues}, '{}', '{}', '')`;
const calls: [string, string][] = [
  ['a dispatch from a long queue', dispatch(`'{plain}'`)],
  ['a dispatch from a limited one', dispatch(`'{limited}'`)],
  ['a dispatch from a thousand partitions', dispatch(`'{parts}'`)],
  ['a dispatch for one free slot', dispatch(`'{parts}'`, 1)],
  ['a dispatch from a queue with many that hold slots', dispatch(`'{holders}'`)],
  ['a dispatch from fifty queues', dispatch('NULL')],
  ['a dispatch that serves none of them', dispatch(`'{none}'`)],
  [
    'a dispatch when all slots are taken',
    `WITH held AS (UPDATE pawl.queue SET concurrency = 1 WHERE name = 'holders' RETURNING 1)
     SELECT * FROM held, LATERAL (${dispatch(`'{holders}'`)}) d`,
  ],
  [
    'a tick',
    `SELECT * FROM pawl.tick(99, 1, 15000, true, 0, false, false, '{}', '{}', '{}', '{}', '{}', '', NULL, NULL, '{}')`,
  ],
  [
    'a claim',
    `SELECT * FROM pawl.claim(99, 100, '{job}', '{v}', '{9}', true, false, 1000000, NULL, '{plain}', '{5}')`,
  ],
  [
    'a start in a queue',
    `SELECT * FROM pawl.flush(99, false, NULL, q_op => '{0}', q_id => '{new}', q_nonce => '{n}', q_fence => '{1}',
       q_name => '{job}', q_version => '{NULL}', q_input => '{"[]"}', q_queue => '{plain}', q_dedup => '{d}')`,
  ],
  [
    'a start whose deduplication id is taken',
    `WITH taken AS (UPDATE pawl.workflow SET deduplication_id = 'd' WHERE id = 'plain-5' RETURNING 1)
     SELECT * FROM taken, LATERAL (SELECT * FROM pawl.flush(99, false, NULL, q_op => '{0}', q_id => '{new}', q_nonce => '{n}',
       q_fence => '{1}', q_name => '{job}', q_version => '{NULL}', q_input => '{"[]"}', q_queue => '{plain}',
       q_dedup => '{d}')) f`,
  ],
  ['new priorities and delays', `SELECT pawl.set_priority('plain-7', 3), pawl.set_delay('plain-8', 1000)`],
];

const rowsRead = async (on: pg.Client) => {
  const { rows } = await on.query<{ n: number }>(
    `SELECT sum(seq_tup_read + idx_tup_fetch)::int AS n FROM pg_stat_xact_user_tables WHERE schemaname = 'pawl'`,
  );
  return rows[0]?.n ?? 0;
};

describe.each([
  ['by plans from the beginning', () => early],
  ['before ANALYZE', () => client],
  ['after ANALYZE', () => client],
])('among thousands that wait in queues, %s', (way, which) => {
  beforeAll(async () => {
    if (way === 'after ANALYZE') await client.query('ANALYZE');
  });

  test.each(calls)('%s reads some rows for each that it is about', async (_name, call) => {
    const on = which();
    await on.query('BEGIN; SET LOCAL plan_cache_mode = force_generic_plan');
    try {
      const first = await rowsRead(on);
      const at = performance.now();
      await on.query(call);
      const read = (await rowsRead(on)) - first;
      if (process.env['PAWL_QUEUE_ROWS'] !== undefined)
        console.log(`${_name}: ${read} rows, ${(performance.now() - at).toFixed(1)} ms`);
      expect(read).toBeLessThan(4000);
    } finally {
      await on.query('ROLLBACK');
    }
  });
});
