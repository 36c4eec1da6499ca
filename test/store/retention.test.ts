// What is over for long enough is deleted, and nothing else.
import { type Driver, describeEachDriver } from '@pawl/test-support/drivers';
import { Pawl, type SqlClient } from '@pawl/core';
import { internals } from '../../packages/core/src/app/internals.ts';
import { beforeEach, describe, expect, test } from 'vitest';

const DAY = 86_400_000;

describeEachDriver('retention', { pooler: true }, (driver: Driver) => {
  let schema: string;
  let pawl: Pawl;

  beforeEach(async () => {
    schema = driver.freshSchema();
    pawl = driver.create({ schema });
    pawl.registerWorkflow(
      async (outcome: string) => {
        await pawl.runStep(() => 1, { name: 'one' });
        await pawl.setEvent('seen', outcome);
        await pawl.recv('go', 60);
        if (outcome === 'fails') throw new Error('as it was told');
      },
      { name: 'work' },
    );
    pawl.registerWorkflow(async () => pawl.recv('go', Infinity), { name: 'wait' });
    pawl.registerWorkflow(
      async (child: string) => {
        await (await pawl.startWorkflow('work', { workflowID: child })('succeeds')).getStatus();
        await pawl.recv('go', Infinity);
      },
      { name: 'parent' },
    );
    pawl.registerWorkflow(
      async (target: string) => {
        await pawl.getEvent(target, 'never', 0.01);
        await pawl.getEvent(target, 'seen', 600);
      },
      { name: 'watch' },
    );
    await pawl.launch();
  });

  const finish = async (id: string, outcome = 'succeeds') => {
    const handle = await pawl.startWorkflow('work', { workflowID: id })(outcome);
    await pawl.send(id, null, 'go');
    await handle.getResult().catch(() => {});
  };
  /** All that happened so far was so many days ago. */
  const age = async (days: number) => {
    await driver.sql(
      `UPDATE ${schema}.workflow SET created_at = created_at - $1 * interval '1 day',
      completed_at = completed_at - $1 * interval '1 day'`,
      [days],
    );
    await driver.sql(`UPDATE ${schema}.waiter SET created_at = created_at - $1 * interval '1 day'`, [days]);
  };
  const due = () => driver.sql(`UPDATE ${schema}.upkeep SET next_at = ${schema}.clock()`);
  const batch = async (limit = 1000, rows = 1000) => {
    const { rows: swept } = await internals(pawl).database.query<{ deleted: number; more: boolean }>(
      `SELECT deleted, more FROM pawl.sweep_workflows(${30 * DAY}, ${90 * DAY}, 60000, ${limit}, ${rows})`,
    );
    return swept[0];
  };
  const left = async (table: string, column: string) =>
    (
      await driver.sql<{ id: string }>(`SELECT DISTINCT ${column} AS id FROM ${schema}.${table} ORDER BY 1`)
    ).map(({ id }) => id);

  test('takes what succeeded 30 days ago and what failed 90 days ago, with all that belongs to it', async () => {
    await finish('old-failure', 'fails');
    await age(60);
    await finish('success');
    await finish('failure', 'fails');
    const cancelled = await pawl.startWorkflow('wait', { workflowID: 'cancelled' })();
    await cancelled.cancel();
    await pawl.startWorkflow('wait', { workflowID: 'runs' })();
    await pawl.send('kept', 'message', 'go', { onMissing: 'park' });
    await age(31);
    await finish('new');
    await due();
    expect(await batch()).toEqual({ deleted: 2, more: false });
    const rest = ['cancelled', 'failure', 'kept', 'new', 'runs'];
    expect(await left('workflow', 'id')).toEqual(rest);
    expect(await left('step', 'workflow_id')).not.toContain('success');
    expect(await left('event', 'workflow_id')).toEqual(['failure', 'new']);
    expect(await left('message', 'destination')).toEqual(['failure', 'kept', 'new']);
    // The next pass is not due yet.
    await age(100);
    expect(await batch()).toEqual({ deleted: 0, more: false });
    await due();
    expect(await batch()).toEqual({ deleted: 3, more: false });
    expect(await left('workflow', 'id')).toEqual(['kept', 'runs']);
  });

  test('keeps a child as long as its parent runs', async () => {
    const parent = await pawl.startWorkflow('parent', { workflowID: 'parent' })('child');
    await pawl.send('child', null, 'go', { onMissing: 'park' });
    await pawl.retrieveWorkflow('child').getResult();
    await age(31);
    await due();
    expect(await batch()).toEqual({ deleted: 0, more: false });
    await pawl.send('parent', null, 'go');
    await parent.getResult();
    await age(31);
    await due();
    expect(await batch()).toEqual({ deleted: 2, more: false });
  });

  test('goes on where the last batch ended, whoever takes the next one, and looks at nothing twice', async () => {
    await Promise.all(
      Array.from({ length: 12 }, (_, i) => pawl.startWorkflow('wait', { workflowID: `a${i}` })()),
    );
    await age(1);
    await Promise.all(Array.from({ length: 12 }, (_, i) => finish(`b${i}`)));
    await age(31);
    await due();
    const batches: { deleted: number; more: boolean }[] = [];
    do batches.push((await batch(5)) as (typeof batches)[0]);
    while (batches.at(-1)?.more);
    expect(batches.map(({ deleted }) => deleted)).toEqual([0, 0, 3, 5, 4]);
  });

  test('a batch ends with the journal that fills it', async () => {
    for (const id of ['one', 'two', 'three']) await finish(id);
    await age(31);
    await due();
    // Three steps and the workflow itself: two of them are more than six rows.
    expect(await batch(1000, 6)).toEqual({ deleted: 2, more: true });
    expect(await batch(1000, 6)).toEqual({ deleted: 1, more: false });
  });

  // Embedded there is one process and one connection.
  if (driver.server)
    test('who does not get the turn, or a row that is held, does not wait', async () => {
      await finish('held');
      await finish('free');
      await age(31);
      await due();
      await driver.transaction(async (tx) => {
        await (tx as SqlClient).query(`SELECT 1 FROM ${schema}.upkeep FOR UPDATE`);
        expect(await batch()).toEqual({ deleted: 0, more: false });
      });
      await driver.transaction(async (tx) => {
        await (tx as SqlClient).query(`SELECT 1 FROM ${schema}.workflow WHERE id = 'held' FOR UPDATE`);
        expect(await batch()).toEqual({ deleted: 1, more: false });
      });
      expect(await left('workflow', 'id')).toEqual(['held']);
    });

  test('waiters go whose callers gave up or whose waits timed out, and no others', async () => {
    let total = 0;
    const sweep = async (limit = 1000) =>
      (
        await internals(pawl).database.query<{ deleted: number }>(
          `SELECT deleted FROM pawl.sweep_waiters(3600000, 60000, ${limit})`,
        )
      ).rows[0];
    await pawl.startWorkflow('wait', { workflowID: 'target' })();
    await pawl.startWorkflow('watch', { workflowID: 'watcher' })('target');
    // A caller in some other process.
    await driver.sql(
      `INSERT INTO ${schema}.waiter (target, kind, key, executor) VALUES ('target', 'r', '', 4711)`,
    );
    await expect.poll(() => left('waiter', 'key')).toEqual(['', 'never', 'seen']);
    await due();
    expect(await sweep()).toEqual({ deleted: 0 });
    await age(1);
    await due();
    for (let i = 0; i < 3; i++) total += (await sweep(1))?.deleted ?? 0;
    expect(total).toBe(2);
    expect(await left('waiter', 'key')).toEqual(['seen']);
  });

  describe('a running process', () => {
    test('sweeps by itself, as it is configured', async () => {
      await finish('success');
      await finish('failure', 'fails');
      await pawl.shutdown();
      await age(31);
      await due();
      const keeper = await driver.launch({ schema, retention: false });
      await expect
        .poll(
          async () =>
            (
              await driver.sql<{ n: number }>(
                `SELECT count(*)::int AS n FROM ${schema}.upkeep WHERE task = 'waiter' AND next_at > ${schema}.clock()`,
              )
            )[0]?.n,
        )
        .toBe(1);
      expect(await keeper.getWorkflowStatus('success')).not.toBeNull();
      await keeper.shutdown();
      const sweeper = await driver.launch({ schema });
      await expect.poll(() => sweeper.getWorkflowStatus('success')).toBeNull();
      expect(await sweeper.getWorkflowStatus('failure')).not.toBeNull();
      await sweeper.shutdown();
      await driver.sql(`UPDATE ${schema}.upkeep SET next_at = ${schema}.clock()`);
      const strict = await driver.launch({ schema, retention: { failed: '30d' } });
      await expect.poll(() => strict.getWorkflowStatus('failure')).toBeNull();
    });
  });
});

test.each([{ completed: -1 }, { failed: 'soon' as '1s' }])('%j is no retention', async (retention) => {
  await expect(new Pawl({ database: { dataDir: 'memory://' }, retention }).launch()).rejects.toThrow(
    'retention.',
  );
});
