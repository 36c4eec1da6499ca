// What the calls read does not grow with the workflows that wait, nor with what was not asked for: counted in rows.
import { Pawl } from '@pawl/core';
import {
  copyWorkflow,
  createDatabase,
  noPgBouncer,
  type PgBouncer,
  startPgBouncer,
  type TestDatabase,
} from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

const PARKED = 20_000;
const names = ['sleeper', 'receiver', 'getter'];

let database: TestDatabase;
/** One that has its plans from when there was next to nothing, and one that makes its own. */
let early: pg.Client;
let client: pg.Client;
/** One that shares the backends of a pooler, which have their plans from whoever came first. */
let bouncer: PgBouncer | undefined;
let pooled: pg.Client | undefined;
let versions: string[];

beforeAll(async () => {
  database = await createDatabase();
  early = new pg.Client({ connectionString: database.url });
  client = new pg.Client({ connectionString: database.url });
  await Promise.all([early.connect(), client.connect()]);
  bouncer = noPgBouncer === undefined ? await startPgBouncer() : undefined;
  const through = bouncer?.through(database.url);
  if (through !== undefined) {
    pooled = new pg.Client({ connectionString: through });
    await pooled.connect();
  }
  const pawl = new Pawl({ database: through ?? database.url, parkAfterSeconds: 0, logger: quiet });
  pawl.registerWorkflow(() => pawl.sleep('1d'), { name: 'sleeper' });
  pawl.registerWorkflow(() => pawl.recv('go', 86_400), { name: 'receiver' });
  pawl.registerWorkflow((target: string) => pawl.getEvent(target, 'key', 86_400), { name: 'getter' });
  await pawl.launch();
  for (const name of names) await pawl.startWorkflow(name, { workflowID: name })('nobody');
  versions = await vi.waitFor(async () => {
    const { rows } = await client.query<{ version: string }>(
      `SELECT version FROM pawl.workflow WHERE owner IS NULL AND status = 'PENDING'
       ORDER BY array_position('{${names.join(',')}}', name::text)`,
    );
    expect(rows).toHaveLength(names.length);
    return rows.map(({ version }) => version);
  }, 20_000);
  await pawl.shutdown();
  await client.query(`INSERT INTO pawl.executor (number, executor_id, started_at, lease_until)
    VALUES (99, 'x', now(), now() + interval '1 hour')`);
  await early.query('BEGIN; SET LOCAL plan_cache_mode = force_generic_plan');
  await fill(early, 50);
  for (const [, make] of calls) {
    const { before, call } = make();
    await early.query('SAVEPOINT before');
    if (before !== undefined) await early.query(before);
    await early.query(call);
    await early.query('ROLLBACK TO before');
  }
  await early.query('ROLLBACK');
  await fill(client, PARKED);
});

async function fill(on: pg.Client, count: number): Promise<void> {
  const query = (text: string) => on.query<Record<string, unknown>>(text);
  for (const name of names) await copyWorkflow(query, { from: name, prefix: name, count });
  await query(`INSERT INTO pawl.waiter (target, kind, key, workflow_id)
    SELECT 'nobody', 'e', 'key', 'getter-' || n FROM generate_series(1, ${count}) n`);
  // Long streams of the first fifty.
  await query(`INSERT INTO pawl.stream (workflow_id, key, position, step_id, closed, created_at, value)
    SELECT 'sleeper-' || 1 + n % 50, 'key', n / 50, n / 50, false, now(), '1' FROM generate_series(0, ${count - 1}) n`);
}

afterAll(async () => {
  for (const each of [early, client, pooled]) await each?.end();
  await bouncer?.stop();
  await database.drop();
});

const fifty = (value: string) => `(SELECT array_agg(${value} ORDER BY n) FROM generate_series(1, 50) n)`;
const fence = `(SELECT fence FROM pawl.workflow WHERE id = 'sleeper')`;
const fencedFifty = `f_op => ${fifty('n')}, f_wf => ${fifty(`'sleeper-' || n`)}, f_fence => ${fifty(fence)},
  f_step => ${fifty('0')}, f_seq => ${fifty('NULL::int')}, f_keep => ${fifty('false')}`;
const some = (prefix: string, count: number) =>
  `SELECT '${prefix}-' || n FROM generate_series(1, ${count}) n`;
const claim =
  () => `SELECT count(*) FROM pawl.claim(99, 100, '{${names.join(',')}}', '{${versions.join(',')}}',
    '{9,9,9}', false, false, 1000000)`;
const calls: [string, () => { before?: string; call: string; answers?: number }][] = [
  [
    'a tick',
    () => ({
      call: `SELECT * FROM pawl.tick(99, 1, 15000, true, 0, false, false, '{}', '{}', '{}', '{}', '{}', '', NULL, NULL, '{daily}')`,
    }),
  ],
  ['a claim when nothing is due', () => ({ call: claim() })],
  [
    'a claim of 100',
    () => ({
      before: `UPDATE pawl.workflow SET wake_at = now() WHERE id IN (${some('sleeper', 500)})`,
      call: claim(),
    }),
  ],
  [
    'a look of 50 waits whose time has come',
    () => ({
      before: `UPDATE pawl.step SET deadline = now() WHERE workflow_id IN (${some('sleeper', 5000)})`,
      call: `SELECT * FROM pawl.flush(99, false, NULL, ${fencedFifty},
        w_op => ${fifty('n')}, w_wf => ${fifty(`'sleeper-' || n`)}, w_step => ${fifty('0')}, w_fence => ${fifty(fence)},
        w_kind => ${fifty(`'sleep'::text`)}, w_name => ${fifty('NULL::text')}, w_target => ${fifty('NULL::text')},
        w_timeout => ${fifty('NULL::float8')}, w_seq => ${fifty('1')})`,
      answers: 50,
    }),
  ],
  [
    'a park of 50',
    () => ({
      before: `UPDATE pawl.workflow SET owner = 99 WHERE id IN (${some('sleeper', 50)})`,
      call: `SELECT * FROM pawl.flush(99, false, NULL, ${fencedFifty},
        p_op => ${fifty('n')}, p_wf => ${fifty(`'sleeper-' || n`)})`,
    }),
  ],
  [
    'a debounced call',
    () => ({
      before: `UPDATE pawl.workflow SET status = 'DELAYED' WHERE id IN (${some('sleeper', 5000)})`,
      call: `SELECT * FROM pawl.debounce('key', 1000, NULL, false, NULL, 'new', 'n', 1, 'sleeper', NULL, '{}')`,
    }),
  ],
  [
    'a message to a parked workflow',
    () => ({
      call: `SELECT * FROM pawl.flush(99, false, '{receiver-5}', m_op => '{0}', m_destination => '{receiver-5}',
        m_id => '{m}', m_topic => '{go}', m_body => '{1}', m_sender => '{null}', m_park => '{f}')`,
    }),
  ],
  [
    'a wake of 100',
    () => ({
      before: `UPDATE pawl.waiter SET fired = true WHERE workflow_id IN (${some('getter', 100)})`,
      call: `SELECT count(*) FROM pawl.wake(500)`,
    }),
  ],
  [
    'a hand-over of 100',
    () => ({
      before: `UPDATE pawl.workflow SET owner = 98, wake_at = NULL WHERE id IN (${some('sleeper', 100)})`,
      call: `SELECT pawl.release(98, true, 500)`,
    }),
  ],
  [
    'a cancel and a resume',
    () => ({
      call: `SELECT (SELECT count(*) FROM pawl.cancel('{sleeper-7}', true, false, NULL)),
        (SELECT count(*) FROM pawl.resume('{sleeper-7}', '{sleeper}', '{v}')), pawl.rouse('sleeper-8')`,
    }),
  ],
  [
    'a look of 50 streams of callers',
    () => ({
      call: `SELECT * FROM pawl.watch(99, true, '{}', '{}', '{}', ${fifty(`'sleeper-' || n`)}, ${fifty(`''::text`)}, ${fifty('0')})`,
    }),
  ],
  [
    'a look of 50 readers of streams',
    () => ({
      call: `SELECT * FROM pawl.watch(99, true, '{}', '{}', '{}', ${fifty(`'sleeper-' || n`)}, ${fifty(`'key'::text`)},
        ${fifty('100000')})`,
      answers: 0,
    }),
  ],
  [
    '50 entries of streams, sent once more',
    () => ({
      call: `SELECT * FROM pawl.flush(99, true, NULL, ${fencedFifty},
        x_op => ${fifty('n')}, x_wf => ${fifty(`'sleeper-' || n`)}, x_key => ${fifty(`'key'::text`)},
        x_step => ${fifty('9')}, x_value => ${fifty(`'1'::text`)}, x_closed => ${fifty('false')})`,
      answers: 0,
    }),
  ],
  [
    'taking back 50 waiters of callers',
    () => ({
      before: `INSERT INTO pawl.waiter (target, kind, key, executor) SELECT s.id, 's', '', 99 FROM (${some('sleeper', 3000)}) s(id)`,
      call: `SELECT pawl.unwatch(99, ${fifty(`'sleeper-' || n`)}, ${fifty(`'s'::text`)}, ${fifty(`''::text`)})`,
    }),
  ],
  ['a deletion', () => ({ call: `SELECT * FROM pawl.forget('{sleeper-7}')` })],
  [
    'a batch of each sweep',
    () => ({
      before: `UPDATE pawl.upkeep SET next_at = now()`,
      call: `SELECT * FROM pawl.sweep_workflows(0, 0, 1000, 100, 100), pawl.sweep_waiters(0, 1000, 100)`,
    }),
  ],
];

const rowsRead = async (on: pg.Client) => {
  const { rows } = await on.query<{ n: number }>(
    `SELECT sum(seq_tup_read + idx_tup_fetch)::int AS n FROM pg_stat_xact_user_tables WHERE schemaname = 'pawl'`,
  );
  return rows[0]?.n ?? 0;
};

const ways: [string, () => pg.Client | undefined][] = [
  ['by plans from the beginning', () => early],
  ['before ANALYZE', () => client],
  ['behind a transaction pooler', () => pooled],
  ['after ANALYZE', () => client],
];

describe.each(noPgBouncer === undefined ? ways : ways.filter(([way]) => !way.includes('pooler')))(
  'among thousands of parked workflows, %s',
  (way, which) => {
    beforeAll(async () => {
      if (way === 'after ANALYZE') await client.query('ANALYZE');
    });

    test.each(calls)('%s reads some rows for each that it is about', async (_name, make) => {
      const on = which() as pg.Client;
      const { before, call, answers } = make();
      await on.query('BEGIN; SET LOCAL plan_cache_mode = force_generic_plan');
      let read: number;
      try {
        if (before !== undefined) await on.query(before);
        const first = await rowsRead(on);
        const { rowCount } = await on.query(call);
        if (answers !== undefined) expect(rowCount).toBe(answers);
        read = (await rowsRead(on)) - first;
      } finally {
        await on.query('ROLLBACK');
      }
      expect(read).toBeLessThan(2000);
    });
  },
);
