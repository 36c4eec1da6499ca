// What the calls read does not grow with the workflows that wait, nor with what was not asked for: counted in rows and in pages.
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
import { SESSION_SETTINGS } from '../../packages/core/src/store/pg-session.ts';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

const PARKED = 20_000;
/** Of the lanes, which make most of the calls; and of a caller's connection, which has its own. */
const ofLanes = SESSION_SETTINGS.replaceAll('SET ', 'SET LOCAL ');
const ofCallers = 'SET LOCAL plan_cache_mode = force_generic_plan';
const names = ['sleeper', 'receiver', 'getter'];

let database: TestDatabase;
/**
 * One that has its plans from when a handful of rows had been analyzed: to walk over them all was the cheapest way then.
 * One from when there was next to nothing, and one that makes its own.
 */
let tiny: pg.Client;
let early: pg.Client;
let client: pg.Client;
/** One that shares the backends of a pooler, which have their plans from whoever came first. */
let bouncer: PgBouncer | undefined;
let pooled: pg.Client | undefined;
let versions: string[];

beforeAll(async () => {
  database = await createDatabase();
  const connect = () => new pg.Client({ connectionString: database.url });
  [tiny, early, client] = [connect(), connect(), connect()];
  await Promise.all([tiny.connect(), early.connect(), client.connect()]);
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
  // Nothing makes plans anew before a test says so.
  for (const table of ['workflow', 'step', 'waiter', 'message', 'stream'])
    await client.query(`ALTER TABLE pawl.${table} SET (autovacuum_enabled = false)`);
  await client.query('ANALYZE');
  await makePlans(tiny, 0);
  await makePlans(early, 50);
  await fill(client, PARKED);
});

async function makePlans(on: pg.Client, count: number): Promise<void> {
  await on.query('BEGIN');
  await on.query(ofCallers);
  if (count > 0) await fill(on, count);
  for (const [index, [, make]] of [...callersCalls, ...calls].entries()) {
    if (index === callersCalls.length) await on.query(ofLanes);
    const { before, call } = make();
    await on.query('SAVEPOINT before');
    if (before !== undefined) await on.query(before);
    await on.query(call);
    await on.query('ROLLBACK TO before');
  }
  await on.query('ROLLBACK');
}

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
  for (const each of [tiny, early, client, pooled]) await each?.end();
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
const steps = `s_op => ${fifty('n')}, s_wf => ${fifty(`'sleeper-' || n`)}, s_step => ${fifty('7')}, s_fence => ${fifty(fence)},
  s_name => ${fifty(`'add'::text`)}, s_output => ${fifty(`'1'::text`)}, s_seq => ${fifty('1')}`;
const starts = `n_op => ${fifty('n')}, n_id => ${fifty(`'sleeper-' || n`)}, n_nonce => ${fifty(`'other'::text`)},
  n_fence => ${fifty('1')}, n_name => ${fifty(`'sleeper'::text`)}, n_version => ${fifty(`'v'::text`)}`;
const ends = `z_op => ${fifty('n')}, z_wf => ${fifty(`'sleeper-' || n`)}, z_fence => ${fifty(fence)},
  z_status => ${fifty(`'SUCCESS'::text`)}, z_output => ${fifty(`'1'::text`)}, z_error => ${fifty('NULL::text')}`;
const results = `w_op => ${fifty('n')}, w_wf => ${fifty(`'sleeper-' || n`)}, w_step => ${fifty('7')}, w_fence => ${fifty(fence)},
  w_kind => ${fifty(`'getResult'::text`)}, w_name => ${fifty('NULL::text')}, w_target => ${fifty(`'receiver-' || n`)},
  w_timeout => ${fifty('9e6::float8')}, w_seq => ${fifty('1')}`;
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
  ['50 steps', () => ({ call: `SELECT * FROM pawl.flush(99, false, NULL, ${steps})`, answers: 0 })],
  [
    '50 steps, written once more',
    () => ({
      before: `SELECT * FROM pawl.flush(99, false, NULL, ${steps})`,
      call: `SELECT * FROM pawl.flush(99, true, NULL, ${steps.replace(`'1'::text`, `'2'::text`).replace(fifty('1'), fifty('2'))})`,
      answers: 50,
    }),
  ],
  ['50 ends', () => ({ call: `SELECT * FROM pawl.flush(99, false, NULL, ${ends})`, answers: 0 })],
  [
    '50 ends with answers to requests',
    () => ({
      before: `INSERT INTO pawl.http_request (id, state, fingerprint, owner, generation, attempt, created_at)
        SELECT 'r' || n, 'running', 'f', 'o', 1, 1, now() FROM generate_series(1, 5000) n`,
      call: `SELECT * FROM pawl.flush(99, false, NULL, ${ends}, k_op => ${fifty('n')}, k_id => ${fifty(`'r' || n`)},
        k_owner => ${fifty(`'o'::text`)}, k_generation => ${fifty('1')}, k_attempt => ${fifty('1')}, k_retention => ${fifty('1')},
        k_status => ${fifty('200')}, k_headers => ${fifty('NULL::text')}, k_body => ${fifty(`''::text`)})`,
      answers: 0,
    }),
  ],
  [
    '50 ends that are refused',
    () => ({
      call: `SELECT * FROM pawl.flush(99, false, NULL, ${ends.replace(fifty(fence), fifty('-1'))})`,
      answers: 50,
    }),
  ],
  [
    '50 starts of ids that are taken',
    () => ({ call: `SELECT * FROM pawl.flush(99, true, NULL, ${starts})`, answers: 50 }),
  ],
  [
    '50 waits for results',
    () => ({ call: `SELECT * FROM pawl.flush(99, false, NULL, ${fencedFifty}, ${results})`, answers: 50 }),
  ],
  [
    'a look of 50 callers who wait for results',
    () => ({
      call: `SELECT * FROM pawl.watch(99, true, ${fifty(`'sleeper-' || n`)}, '{}', '{}', '{}', '{}', '{}')`,
      answers: 0,
    }),
  ],
  [
    'a lone start, step, wait and end',
    () => ({
      call: `SELECT pawl.flush_one_start(99, 'new', 'n', 1, 'sleeper', 'v', NULL), pawl.flush_one_step('sleeper-3', ${fence}, 7, 1,
        'step', 'add', NULL, '1', NULL, NULL, NULL), (SELECT outcome FROM pawl.flush_one_wait('sleeper-4', ${fence}, 7, 1, 'recv',
        'go', 9e6)), pawl.flush_one_end('sleeper-5', ${fence}, 'SUCCESS', '1', NULL)`,
    }),
  ],
  [
    'keys of requests, claimed and answered',
    () => ({
      before: `INSERT INTO pawl.http_request (id, state, fingerprint, owner, generation, attempt, created_at)
        SELECT 'r' || n, 'done', 'f', 'o', 1, 1, now() FROM generate_series(1, 5000) n`,
      call: `SELECT * FROM pawl.http_claim('{r1,r2,r3,s1,s2,s3}', '{f,f,f,f,f,f}', '{a,b,c,d,e,f}', '{1,1,1,1,1,1}'),
        pawl.http_settle('{s1,s2,s3}', '{d,e,f}', '{1,1,1}', '{1,1,1}', '{done,done,done}', '{1,1,1}', '{200,200,200}',
          '{NULL,NULL,NULL}', '{0,0,0}', '')`,
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
  [
    'a cancellation of one without children, others have some',
    () => ({
      before: `UPDATE pawl.workflow SET parent_id = 'somebody' WHERE id IN (${some('receiver', 5000)})`,
      call: `SELECT * FROM pawl.cancel('{sleeper-7}', true, false, NULL)`,
    }),
  ],
  [
    'a later batch of the sweep of waiters',
    () => ({
      before: `UPDATE pawl.upkeep SET next_at = now(), after_waiter = '{nobody,e,key,getter-9,0}' WHERE task = 'waiter'`,
      call: `SELECT * FROM pawl.sweep_waiters(0, 1000, 100)`,
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

interface Plan {
  'Actual Rows': number;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
}

/** On connections that are the caller's. */
const callersCalls: typeof calls = [
  [
    'a start from SQL of an id that is taken',
    () => ({ call: `SELECT pawl.start('sleeper', workflow_id => 'sleeper-5')`, answers: 1 }),
  ],
  [
    'a change of priority and delay',
    () => ({ call: `SELECT pawl.set_priority('sleeper-5', 1), pawl.set_delay('sleeper-6', 1)` }),
  ],
  [
    'an answer to a hook',
    () => ({
      before: `INSERT INTO pawl.hook (token_hash, workflow_id, topic, created_at, expires_at)
        SELECT 'h' || n, 'receiver-' || n, 'go', now(), now() + interval '1 hour' FROM generate_series(1, 5000) n`,
      call: `SELECT * FROM pawl.answer_hook(99, 'h5', 'resolved', '1', NULL, NULL)`,
    }),
  ],
  [
    'a look at a key and a sweep of keys',
    () => ({
      before: `INSERT INTO pawl.http_request (id, state, fingerprint, owner, generation, attempt, created_at, expires_at)
        SELECT 'r' || n, 'done', 'f', 'o', 1, 1, now(), CASE WHEN n <= 100 THEN now() ELSE now() + interval '1 hour' END
        FROM generate_series(1, 5000) n`,
      call: `SELECT outcome, pawl.http_sweep(50, 1) FROM pawl.http_look('r500', 'f', 'n')`,
      answers: 1,
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
  ['by plans from when a handful of rows had been analyzed', () => tiny],
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

    test.each([
      ...callersCalls.map(([name, make]) => [name, make, ofCallers] as const),
      ...calls.map(([name, make]) => [name, make, ofLanes] as const),
    ])('%s reads some rows for each that it is about', async (_name, make, set) => {
      const on = which() as pg.Client;
      const { before, call, answers } = make();
      await on.query('BEGIN');
      await on.query(set);
      let read: number;
      let plan: Plan;
      try {
        if (before !== undefined) await on.query(before);
        const first = await rowsRead(on);
        const { rows } = await on.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
          `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${call}`,
        );
        plan = rows[0]?.['QUERY PLAN'][0].Plan as Plan;
        read = (await rowsRead(on)) - first;
      } finally {
        await on.query('ROLLBACK');
      }
      if (answers !== undefined) expect(plan['Actual Rows']).toBe(answers);
      expect(read).toBeLessThan(2000);
      expect(plan['Shared Hit Blocks'] + plan['Shared Read Blocks']).toBeLessThan(5000);
    });
  },
);
