// What no living process serves: found among what is due, blocked with the reason, and free again for who serves it.
import { describeEachDriver } from '@pawl/test-support/drivers';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { ANYBODY } from '../../packages/core/src/engine/starts.ts';
import { registerExecutor, retire, strand, tick } from '../../packages/core/src/store/executors.ts';
import { block, cancel, claim, resume, type Served } from '../../packages/core/src/store/lifecycle.ts';
import { openStore, start, type Store } from './open-store.ts';

const LIMIT = 100;
const OLD = 1;
const NEW = 2;

const serving = (name: string, version: string): Served => ({ name, version, maxRecoveryAttempts: 9 });

describeEachDriver('stranded workflows', { pooler: true }, (driver) => {
  let store: Store;
  const open: Store[] = [];

  beforeEach(async () => {
    store = await openStore(driver);
    open.push(store);
  });
  afterAll(() => Promise.all(open.map((each) => each.close())));

  const live = (number: number, served: Served[], anyVersion = false) =>
    registerExecutor(store.database, number, false, {
      ...{
        executorID: `executor ${number}`,
        applicationVersion: null,
        host: 'here',
        pid: 1,
        leaseMs: 60_000,
      },
      ...{ served, anyVersion },
    });
  /** Not run by anybody, due since so many seconds; negative: not yet. */
  const due = async (id: string, version: string | null, seconds = 10, name = 'name') => {
    await store.write([start(id, { queued: ANYBODY, name, version, chosen: true })]);
    await store.rows(
      `UPDATE pawl.workflow SET wake_at = pawl.clock() - $2::float8 * interval '1 second' WHERE id = $1`,
      [id, seconds],
    );
  };
  const review = async (executor = NEW, limit = LIMIT) =>
    (await strand(store.lane, executor, 3000, limit)).sort((a, b) => (a.workflowID < b.workflowID ? -1 : 1));
  const take = async (number: number, served: Served[], blocked = false, anyVersion = false) =>
    (await claim(store.lane, { executor: number, limit: 100, served, anyVersion, blocked }))
      .map(({ workflowID }) => workflowID)
      .sort();
  const row = async (id: string) =>
    (
      await store.rows(
        'SELECT status, blocked, stranded, owner::integer AS owner, version FROM pawl.workflow WHERE id = $1',
        [id],
      )
    )[0];
  const told = async (executor: number, served?: Served[]) => {
    const { ready, dueSince, stranded } = await tick(store.lane, {
      ...{ executor, lockClass: 1, leaseMs: 60_000, renew: false, armed: 0, locked: false, alone: false },
      ...{ awaited: { messages: [], results: [], events: [] }, timeoutError: '""', served },
    });
    return { ready, due: dueSince !== undefined, stranded };
  };

  test('are due for long and served by nobody, in name or version; each is named once', async () => {
    await live(NEW, [serving('name', 'v2'), serving('other', 'v1')]);
    await due('old', 'v1');
    await due('unknown', null, 10, 'nobody');
    await due('mine', 'v2');
    await due('fresh', null);
    await due('just due', 'v1', 1);
    await due('asleep', 'v1', -60);
    const found = await review();
    expect(found).toEqual([
      {
        workflowID: 'old',
        name: 'name',
        version: 'v1',
        reason: expect.stringContaining('No living process serves workflow "name" in version v1.'),
      },
      {
        workflowID: 'unknown',
        name: 'nobody',
        version: null,
        reason: expect.stringContaining('No living process serves workflow "nobody".'),
      },
    ]);
    expect(await row('old')).toMatchObject({
      ...{ status: 'PENDING', owner: null, stranded: true, blocked: found[0]?.reason },
    });
    expect(await review()).toEqual([]);
  });

  test('are none while an executor serves them that has not been declared gone', async () => {
    await live(OLD, [serving('name', 'v1')]);
    await live(NEW, [serving('name', 'v2')]);
    await due('old', 'v1');
    expect(await review()).toEqual([]);
    await retire(store.lane, OLD);
    expect(await review()).toMatchObject([{ workflowID: 'old' }]);
  });

  test('are none where somebody takes any version of their name', async () => {
    await live(NEW, [serving('name', 'v2')], true);
    await due('old', 'v1');
    await due('unknown', 'v1', 10, 'nobody');
    expect(await review()).toMatchObject([{ workflowID: 'unknown' }]);
  });

  test('are free again for the one that serves them, whose tick tells it; a launch claims them at once', async () => {
    await live(NEW, [serving('name', 'v2')]);
    for (const id of ['a', 'b', 'c']) await due(id, 'v1');
    expect(await review()).toHaveLength(3);
    expect(await told(NEW)).toEqual({ ready: false, due: false, stranded: false });
    expect(await take(NEW, [serving('name', 'v2')], true)).toEqual([]);

    await live(OLD, [serving('name', 'v1')]);
    expect(await told(OLD)).toMatchObject({ ready: false, stranded: true });
    expect(await review(NEW)).toEqual([]);
    expect(await review(OLD, 2)).toMatchObject([{ reason: null }, { reason: null }]);
    expect(await told(NEW)).toMatchObject({ ready: true, due: true });
    expect(await take(OLD, [serving('name', 'v1')])).toHaveLength(2);
    expect(await take(OLD, [serving('name', 'v1')], true)).toHaveLength(1);
    expect(await row('a')).toMatchObject({ blocked: null, stranded: false, owner: OLD, version: 'v1' });
    expect(await told(OLD)).toEqual({ ready: false, due: false, stranded: false });
  });

  test('are found by an executor that takes any version, or registers their name later', async () => {
    await live(NEW, [serving('other', 'v2')]);
    await due('old', 'v1');
    await due('fresh', null, 10, 'nobody');
    expect(await review()).toHaveLength(2);
    expect(await told(NEW, [serving('other', 'v2'), serving('nobody', 'v2')])).toMatchObject({
      stranded: true,
    });
    expect(await review()).toEqual([{ workflowID: 'fresh', name: 'nobody', version: null, reason: null }]);
    await live(3, [serving('name', 'v3')], true);
    expect(await told(3)).toMatchObject({ stranded: true });
    expect(await review(3)).toMatchObject([{ workflowID: 'old', reason: null }]);
  });

  test('are not those that are blocked for another reason', async () => {
    await live(NEW, [serving('name', 'v2')]);
    await due('broken', 'v2');
    expect(await take(NEW, [serving('name', 'v2')])).toEqual(['broken']);
    await block(store.lane, 'broken', 2, 'NonDeterminismError: …');
    expect(await told(NEW)).toEqual({ ready: false, due: false, stranded: false });
    expect(await review()).toEqual([]);
    expect(await row('broken')).toMatchObject({ blocked: 'NonDeterminismError: …', stranded: false });
  });

  test('may be cancelled', async () => {
    await live(NEW, [serving('name', 'v2')]);
    await due('old', 'v1');
    await review();
    await cancel(store.database, ['old'], false);
    expect(await row('old')).toMatchObject({ status: 'CANCELLED', blocked: null, stranded: false });
  });

  test('are not blocked any more once they are given up', async () => {
    await live(NEW, [serving('name', 'v2')]);
    await due('poison', 'v1');
    await store.rows(`UPDATE pawl.workflow SET attempts = 10`);
    expect(await review()).toHaveLength(1);
    await live(OLD, [serving('name', 'v1')]);
    expect(await take(OLD, [serving('name', 'v1')], true)).toEqual([]);
    expect(await row('poison')).toMatchObject({
      ...{ status: 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', blocked: null, stranded: false },
    });
  });

  test('go to the version of the one who resumes them, be they blocked, due or asleep', async () => {
    await live(NEW, [serving('name', 'v2')]);
    await due('blocked', 'v1');
    await review();
    await due('just due', 'v1', 0);
    await due('asleep', 'v1', -60);
    await due('sleeps well', 'v2', -60);
    const ids = ['asleep', 'blocked', 'just due', 'sleeps well'];
    const resumed = await resume(store.database, ids, [serving('name', 'v2')]);
    const changed = resumed.filter((each) => each.changed).map(({ workflowID }) => workflowID);
    expect(changed.sort()).toEqual(['asleep', 'blocked', 'just due']);
    expect(await row('blocked')).toMatchObject({ blocked: null, stranded: false, version: 'v2' });
    expect(await take(OLD, [serving('name', 'v1')])).toEqual([]);
    expect(await take(NEW, [serving('name', 'v2')])).toEqual(['asleep', 'blocked', 'just due']);
  });

  test('go to whoever claims them if the one who resumes them serves nothing; what sleeps stays asleep', async () => {
    await due('due', 'v1', 0);
    await due('asleep', 'v1', -60);
    const resumed = await resume(store.database, ['asleep', 'due']);
    expect(resumed.filter((each) => each.changed)).toMatchObject([{ workflowID: 'due' }]);
    expect(await take(NEW, [serving('name', 'v2')])).toEqual(['due']);
    expect(await row('due')).toMatchObject({ version: 'v2' });
  });
});
