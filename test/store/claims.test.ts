// Claiming and handing over: who may take what, with which journal; and that whoever had it before writes no more.
import { describeEachDriver } from '@pawl/test-support/drivers';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { ANYBODY } from '../../packages/core/src/engine/starts.ts';
import { release } from '../../packages/core/src/store/executors.ts';
import { block, cancel, claim, type ClaimOptions, resume } from '../../packages/core/src/store/lifecycle.ts';
import { listExecutors, listWorkflows } from '../../packages/core/src/store/reading.ts';
import { fenced, ME, openStore, start, step, type Store } from './open-store.ts';

describeEachDriver('a claim', { pooler: true }, (driver) => {
  let store: Store;
  const open: Store[] = [];

  beforeEach(async () => {
    store = await openStore(driver);
    open.push(store);
  });
  afterAll(() => Promise.all(open.map((each) => each.close())));

  const take = (options: Partial<ClaimOptions> = {}, on = store) =>
    claim(on.lane, {
      executor: ME + 1,
      limit: 100,
      served: [{ name: 'name', version: 'v1', maxRecoveryAttempts: 2 }],
      anyVersion: false,
      blocked: false,
      ...options,
    });
  const ids = async (claimed: ReturnType<typeof take>) =>
    (await claimed).map(({ workflowID }) => workflowID).sort();
  const detached = (id: string, part: object = {}) =>
    start(id, { queued: ANYBODY, version: null, chosen: true, ...part });

  test('takes what nobody runs and is due, with its input; the fence rises', async () => {
    await store.write([detached('a', { input: '["a"]' }), detached('b'), start('mine')]);
    const claimed = await take();
    expect(claimed.map(({ workflowID }) => workflowID).sort()).toEqual(['a', 'b']);
    expect(claimed.find(({ workflowID }) => workflowID === 'a')).toEqual({
      workflowID: 'a',
      name: 'name',
      fence: 2,
      nonce: 'nonce of a',
      attempts: 0,
      deadline: null,
      input: '["a"]',
      user: null,
      roles: null,
      trace: null,
      startedAt: expect.any(Number),
      queue: null,
      rerun: false,
      journal: [],
    });
    expect(await ids(take())).toEqual([]);
    expect(
      await store.rows(`SELECT owner::integer AS owner, version FROM pawl.workflow WHERE id = 'a'`),
    ).toEqual([{ owner: ME + 1, version: 'v1' }]);
  });

  test('takes no more than its limit, the longest due first', async () => {
    for (const id of ['c', 'a', 'b']) await store.write([detached(id)]);
    expect(await ids(take({ limit: 2 }))).toEqual(['a', 'c']);
    expect(await ids(take({ limit: 2 }))).toEqual(['b']);
  });

  test('takes only names and versions that it serves; what never ran has none', async () => {
    await store.write([
      detached('never-ran'),
      detached('other-version', { version: 'v0' }),
      detached('other-name', { name: 'other' }),
    ]);
    expect(await ids(take())).toEqual(['never-ran']);
    expect(await ids(take({ anyVersion: true }))).toEqual(['other-version']);
    const served = [{ name: 'other', version: 'v9', maxRecoveryAttempts: 1 }];
    expect(await ids(take({ served }))).toEqual(['other-name']);
    expect(await ids(take({ served: [] }))).toEqual([]);
  });

  test('takes what an executor released, and counts an attempt only if that one is gone', async () => {
    await store.write([start('handed-over'), start('left-behind')]);
    await store.rows(`UPDATE pawl.workflow SET owner = 99 WHERE id = 'left-behind'`);
    await release(store.lane, ME, false);
    expect(await take()).toMatchObject([{ workflowID: 'handed-over', attempts: 0, fence: 2 }]);
    await release(store.lane, 99, true);
    expect(await take()).toMatchObject([{ workflowID: 'left-behind', attempts: 1, fence: 2 }]);
  });

  test('gives up what was left behind too often; a resume brings it back', async () => {
    await store.write([start('unlucky')]);
    let owner = ME;
    for (let attempt = 1; attempt <= 2; attempt++) {
      await release(store.lane, owner, true);
      expect(await take()).toMatchObject([{ attempts: attempt }]);
      owner = ME + 1;
    }
    await release(store.lane, owner, true);
    expect(await take()).toEqual([]);
    expect(await store.rows('SELECT status, attempts FROM pawl.workflow')).toEqual([
      { status: 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', attempts: 3 },
    ]);
    await resume(store.database, ['unlucky']);
    expect(await take()).toMatchObject([{ workflowID: 'unlucky', attempts: 0 }]);
  });

  test('leaves what is blocked, unless it asks for it', async () => {
    await store.write([start('blocked')]);
    await block(store.lane, 'blocked', 1, 'NonDeterminismError: …');
    expect(await ids(take())).toEqual([]);
    expect(await store.rows('SELECT status, blocked FROM pawl.workflow')).toEqual([
      { status: 'PENDING', blocked: 'NonDeterminismError: …' },
    ]);
    expect(await ids(take({ blocked: true }))).toEqual(['blocked']);
    expect(await store.rows('SELECT blocked FROM pawl.workflow')).toEqual([{ blocked: null }]);
  });

  test('leaves what is cancelled', async () => {
    await store.write([detached('a')]);
    await cancel(store.database, ['a'], false);
    expect(await ids(take())).toEqual([]);
  });

  test('brings the whole journal, completed rows and open ones, in order of the steps', async () => {
    await store.write([start('a'), start('b')]);
    await store.write([
      step('a', 0, { output: '1', name: 'first' }),
      step('a', 1, { error: '"no"', seq: 3 }),
      step('a', 3, { seq: null, attempts: 2, error: '"once"' }),
      { ...fenced('a', 4, 9), wait: { kind: 'recv', name: null, target: 'topic', timeoutMs: 60_000 } },
      step('b', 0, { kind: 'start', childID: 'b-0' }),
    ]);
    await release(store.lane, ME, false);
    const claimed = await take();
    const journal = (id: string) => claimed.find(({ workflowID }) => workflowID === id)?.journal;
    expect(journal('a')).toMatchObject([
      { stepID: 0, kind: 'step', name: 'first', output: '1', seq: 1, completed: true },
      { stepID: 1, error: '"no"', seq: 3, completed: true },
      { stepID: 3, seq: null, attempts: 2, error: '"once"', completed: false },
      { stepID: 4, kind: 'recv', target: 'topic', completed: false },
    ]);
    expect(journal('a')?.[3]?.deadline).toBeTypeOf('number');
    expect(journal('b')).toMatchObject([{ childID: 'b-0' }]);
  });

  test('brings journals of many megabytes in pages, complete and each row once', async () => {
    const workflows = ['a', 'b', 'c'];
    await store.write(workflows.map((id) => start(id)));
    const output = `"${'x'.repeat(400_000)}"`;
    for (const id of workflows)
      await store.write(Array.from({ length: 12 }, (_, i) => step(id, i, { output })));
    await release(store.lane, ME, false);
    const claimed = await take();
    expect(claimed.map(({ workflowID }) => workflowID).sort()).toEqual(workflows);
    for (const { journal } of claimed) {
      expect(journal.map(({ stepID }) => stepID)).toEqual(Array.from({ length: 12 }, (_, i) => i));
      for (const row of journal) expect(row.output).toHaveLength(output.length);
    }
  });

  test('lists as it is told, with what a claim made of it', async () => {
    await store.write([
      detached('a', { extra: '{"attributes":{"n":1}}', queued: { ...ANYBODY, priority: 4 } }),
    ]);
    const [row] = await listWorkflows(store.database, { limit: 10, descending: false, load: ['input'] });
    expect(row).toMatchObject({
      id: 'a',
      status: 'PENDING',
      owner: null,
      priority: 4,
      attributes: { n: 1 },
      input: '[]',
    });
    expect(await listExecutors(store.database)).toEqual([]);
  });

  if (driver.server) {
    test('of several at once takes each workflow once', async () => {
      await store.write(Array.from({ length: 200 }, (_, i) => detached(`w-${i}`)));
      const lanes = Array.from({ length: 4 }, (_, i) => store.database.lane(`claimer ${i}`));
      const taken: string[] = [];
      await Promise.all(
        lanes.map(async (lane, i) => {
          for (;;) {
            const claimed = await take({ executor: 100 + i, limit: 7 }, { ...store, lane });
            if (claimed.length === 0) return;
            taken.push(...claimed.map(({ workflowID }) => workflowID));
          }
        }),
      );
      // SKIP LOCKED may show an empty page while others hold the rest.
      taken.push(...(await ids(take())));
      expect(taken.sort()).toEqual(Array.from({ length: 200 }, (_, i) => `w-${i}`).sort());
      await Promise.all(lanes.map((lane) => lane.close()));
    });

    test('sees every checkpoint that was acknowledged before it, and none lands after it', async () => {
      // A writer goes on as fast as it can; a claimer takes the workflow away in the middle of it.
      const lane = store.database.lane('claimer');
      for (let round = 0; round < 20; round++) {
        const id = `raced-${round}`;
        await store.write([start(id)]);
        const acknowledged: number[] = [];
        const writer = (async () => {
          for (let i = 0; ; i++) {
            const { answers } = await store.write([step(id, i)]);
            if (answers[0] !== undefined) return answers[0].outcome;
            acknowledged.push(i);
          }
        })();
        await new Promise((resolve) => setTimeout(resolve, round % 7));
        await store.rows('UPDATE pawl.workflow SET owner = NULL, wake_at = pawl.clock() WHERE id = $1', [id]);
        // A claim passes over rows that somebody holds at the moment; the next one gets them.
        let [claimed] = await take({}, { ...store, lane });
        while (claimed === undefined) [claimed] = await take({}, { ...store, lane });
        const seen = claimed.journal.map(({ stepID }) => stepID);
        expect(await writer).toBe('superseded');
        expect(seen).toEqual(acknowledged);
        const [{ count } = { count: -1 }] = await store.rows<{ count: number }>(
          'SELECT count(*)::integer AS count FROM pawl.step WHERE workflow_id = $1',
          [id],
        );
        expect(count).toBe(acknowledged.length);
      }
      await lane.close();
    });
  }
});
