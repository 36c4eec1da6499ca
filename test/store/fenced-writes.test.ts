// Starts, steps, attempts and ends: what each write comes to, by the state of the workflow, whichever way it takes.
import { describeEachDriver } from '@pawl/test-support/drivers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cancel, claim, forget, resume } from '../../packages/core/src/store/lifecycle.ts';
import { end, ME, openStore, start, step, type Store, ways } from './open-store.ts';

describeEachDriver('a fenced write', { pooler: true }, (driver) => {
  let store: Store;
  let made = 0;

  beforeAll(async () => {
    store = await openStore(driver);
  });
  afterAll(() => store.close());

  const fresh = async () => {
    const id = `w-${++made}`;
    await store.write([start(id)]);
    return id;
  };
  const workflowRow = async (id: string) =>
    (
      await store.rows<{ status: string; owner: string | number | null; fence: number; name: string }>(
        'SELECT status, owner::integer AS owner, fence, name, input, output, error, nonce, watched FROM pawl.workflow WHERE id = $1',
        [id],
      )
    )[0];
  const steps = (id: string) =>
    store.rows(
      `SELECT step_id, fence, seq, kind, name, output, error, attempts, completed_at IS NOT NULL AS completed
       FROM pawl.step WHERE workflow_id = $1 ORDER BY step_id`,
      [id],
    );
  /** Somebody else runs it now: fence 2. */
  const claimed = async (id: string) => {
    await store.rows('UPDATE pawl.workflow SET owner = NULL, wake_at = pawl.clock() WHERE id = $1', [id]);
    const served = [{ name: 'name', version: 'v1', maxRecoveryAttempts: 100 }];
    const options = { executor: ME + 1, limit: 1000, served, anyVersion: false, blocked: false };
    expect((await claim(store.lane, options)).map(({ workflowID }) => workflowID)).toContain(id);
  };

  describe.each(ways)('%s', (_, write) => {
    test('starts a workflow', async () => {
      const id = `s-${++made}`;
      expect(await write(store, start(id, { input: '[1]' }))).toBeUndefined();
      expect(await workflowRow(id)).toMatchObject({
        status: 'PENDING',
        owner: ME,
        fence: 1,
        name: 'name',
        input: '[1]',
      });
    });

    test('that starts an id again recognizes itself by its nonce', async () => {
      const id = await fresh();
      expect([undefined, 'started']).toContain((await write(store, start(id, { chosen: true })))?.outcome);
      expect(await workflowRow(id)).toMatchObject({ status: 'PENDING', fence: 1 });
      await store.write([end(id)]);
      expect((await write(store, start(id, { chosen: true })))?.outcome).toBe('started');
      expect(await workflowRow(id)).toMatchObject({ status: 'SUCCESS' });
    });

    test.each([true, false])('that starts a taken id says whose it is (chosen: %s)', async (chosen) => {
      const id = await fresh();
      const other = start(id, { nonce: 'other', name: 'other', fence: 9, input: '[2]', chosen });
      const answer = await write(store, other);
      expect(answer).toMatchObject({ outcome: 'exists', output: '[]' });
      expect(JSON.parse(answer?.detail ?? '')).toEqual({ name: 'name', parent: null, fence: 1 });
      expect(await workflowRow(id)).toMatchObject({ name: 'name', fence: 1, input: '[]' });
    });

    test('starts where somebody waits for the id, and keeps that in mind', async () => {
      const id = `r-${++made}`;
      await store.rows('SELECT pawl.reserve(ARRAY[$1], true)', [id]);
      expect(await write(store, start(id, { chosen: true }))).toBeUndefined();
      expect(await workflowRow(id)).toMatchObject({ status: 'PENDING', watched: true, owner: ME });
    });

    test('records a step once, and recognizes itself when it comes again', async () => {
      const id = await fresh();
      const record = step(id, 0, { output: '"x\\"\\\\"', name: `it's "quoted" \\ {NULL}` });
      expect(await write(store, record)).toBeUndefined();
      expect([undefined, 'written']).toContain((await write(store, record))?.outcome);
      expect(await steps(id)).toMatchObject([
        { step_id: 0, seq: 1, output: '"x\\"\\\\"', name: `it's "quoted" \\ {NULL}`, completed: true },
      ]);
    });

    test('of a step that another write recorded adopts what stands there', async () => {
      const id = await fresh();
      await store.write([step(id, 0, { output: '1' })]);
      const answer = await write(store, step(id, 0, { output: '2', seq: 5 }));
      expect(answer).toMatchObject({ outcome: 'adopted', output: '1', error: null });
      expect(await steps(id)).toMatchObject([{ output: '1', seq: 1 }]);
    });

    test.each([
      ['an empty text', ''],
      ['NULL, the word', 'NULL'],
      ['letters of all kinds', 'ü\u2028😀\t\r\n'],
      ['braces', '{},"'],
    ])('keeps texts as they are: %s', async (__, output) => {
      const id = await fresh();
      await write(store, step(id, 0, { output, name: output === '' ? 'empty' : output }));
      expect(await steps(id)).toMatchObject([{ output }]);
    });

    test('of an older fence is superseded and writes nothing', async () => {
      const id = await fresh();
      await claimed(id);
      expect(await write(store, step(id, 0))).toMatchObject({ outcome: 'superseded' });
      expect(await write(store, step(id, 1, { keep: true }))).toMatchObject({ outcome: 'superseded' });
      expect(await write(store, end(id))).toMatchObject({ outcome: 'superseded' });
      expect(await steps(id)).toEqual([]);
      expect(await workflowRow(id)).toMatchObject({ status: 'PENDING', fence: 2, owner: ME + 1 });
      expect(await write(store, step(id, 0, { fence: 2 }))).toBeUndefined();
    });

    test('of a cancelled workflow records only what ran', async () => {
      const id = await fresh();
      await cancel(store.database, [id], false);
      expect(await write(store, step(id, 0))).toMatchObject({ outcome: 'cancelled' });
      expect(await steps(id)).toEqual([]);
      expect(await write(store, step(id, 1, { keep: true, output: '1' }))).toMatchObject({ outcome: 'kept' });
      expect(await steps(id)).toMatchObject([{ step_id: 1, output: '1', completed: true }]);
      expect(await write(store, end(id))).toMatchObject({ outcome: 'cancelled' });
      expect(await workflowRow(id)).toMatchObject({ status: 'CANCELLED' });
    });

    test('of a cancelled and resumed workflow is superseded', async () => {
      const id = await fresh();
      await cancel(store.database, [id], false);
      await resume(store.database, [id]);
      expect(await write(store, step(id, 0, { keep: true }))).toMatchObject({ outcome: 'superseded' });
      expect(await steps(id)).toEqual([]);
    });

    test('of an ended workflow writes nothing', async () => {
      const id = await fresh();
      await store.write([end(id)]);
      expect(await write(store, step(id, 0, { keep: true }))).toMatchObject({ outcome: 'ended' });
      expect(await steps(id)).toEqual([]);
    });

    test('of a deleted workflow writes nothing, also where a message waits for the id', async () => {
      const id = await fresh();
      await forget(store.database, [id]);
      expect(await write(store, step(id, 0, { keep: true }))).toMatchObject({ outcome: 'deleted' });
      expect(await write(store, end(id))).toMatchObject({ outcome: 'deleted' });
      await store.rows('SELECT pawl.reserve(ARRAY[$1], false)', [id]);
      expect(await write(store, step(id, 0))).toMatchObject({ outcome: 'deleted' });
      expect(await write(store, end(id))).toMatchObject({ outcome: 'deleted' });
      expect(await steps(id)).toEqual([]);
    });

    test('ends a workflow once, and recognizes itself when it comes again', async () => {
      const id = await fresh();
      expect(await write(store, end(id, 1, '42'))).toBeUndefined();
      expect([undefined, 'written']).toContain((await write(store, end(id, 1, '42')))?.outcome);
      expect(await workflowRow(id)).toMatchObject({ status: 'SUCCESS', output: '42' });
    });

    test('of attempts counts them in one row, which the result completes', async () => {
      const id = await fresh();
      await write(store, step(id, 0, { seq: null, attempts: 2, error: '"first"' }));
      await write(store, step(id, 0, { seq: null, attempts: 3, error: '"second"', begun: true }));
      expect(await steps(id)).toMatchObject([{ attempts: 3, completed: false, error: '"second"' }]);
      expect(await write(store, step(id, 0, { attempts: 3, output: '1', begun: true }))).toBeUndefined();
      expect(await steps(id)).toMatchObject([{ attempts: 3, completed: true, output: '1', error: null }]);
      const late = await write(store, step(id, 0, { seq: null, attempts: 4, begun: true }));
      expect(late).toMatchObject({ outcome: 'adopted', output: '1' });
    });

    test('starts a child together with the step that records it, or neither', async () => {
      const id = await fresh();
      const childOf = (child: string, stepID: number) => ({
        ...step(id, stepID, { kind: 'start', childID: child }),
        ...start(child, { nonce: `child ${child}`, extra: JSON.stringify({ parent: id }), chosen: true }),
      });
      const child = `${id}-0`;
      expect(await write(store, childOf(child, 0))).toBeUndefined();
      expect([undefined, 'written', 'started']).toContain((await write(store, childOf(child, 0)))?.outcome);
      const taken = await fresh();
      expect(await write(store, childOf(taken, 1))).toMatchObject({ outcome: 'exists' });
      await store.write([end(id)]);
      expect(await write(store, childOf(`${id}-2`, 2))).toMatchObject({ outcome: 'ended' });
      expect(await steps(id)).toMatchObject([{ step_id: 0 }]);
      expect(await workflowRow(`${id}-2`)).toBeUndefined();
    });
  });

  test('of an id twice in one flush: the first wins, the second is told', async () => {
    const id = `t-${++made}`;
    const { answers } = await store.write([
      start(id, { nonce: 'a', input: '["a"]', chosen: true }),
      start(id, { nonce: 'b', input: '["b"]', chosen: true }),
    ]);
    expect(answers[0]).toBeUndefined();
    expect(answers[1]).toMatchObject({ outcome: 'exists', output: '["a"]' });
    const reserved = `t-${++made}`;
    await store.rows('SELECT pawl.reserve(ARRAY[$1], false)', [reserved]);
    const again = await store.write([
      start(reserved, { nonce: 'a', input: '["a"]', chosen: true }),
      start(reserved, { nonce: 'b', input: '["b"]', chosen: true }),
    ]);
    expect(again.answers[0]).toBeUndefined();
    expect(again.answers[1]).toMatchObject({ outcome: 'exists', output: '["a"]' });
  });

  test('that the database refuses fails with all that is flushed with it, and nothing is written', async () => {
    const [a, b] = [await fresh(), await fresh()];
    const failing = store.write([step(a, 0), start(`bad-${made}`, { extra: '{' }), step(b, 0)]);
    await expect(failing).rejects.toMatchObject({ code: expect.stringMatching(/^22/) });
    expect([...(await steps(a)), ...(await steps(b))]).toEqual([]);
  });

  test('among many, each gets its own answer', async () => {
    const ids = await Promise.all(Array.from({ length: 40 }, () => fresh()));
    await cancel(
      store.database,
      ids.filter((_, i) => i % 4 === 1),
      false,
    );
    await store.write(ids.filter((_, i) => i % 4 === 2).map((id) => end(id)));
    await forget(
      store.database,
      ids.filter((_, i) => i % 4 === 3),
    );
    const { answers } = await store.write(ids.map((id) => step(id, 0)));
    const expected = [undefined, 'cancelled', 'ended', 'deleted'];
    expect(ids.map((_, i) => answers[i]?.outcome)).toEqual(ids.map((_, i) => expected[i % 4]));
    for (const [i, id] of ids.entries()) expect(await steps(id)).toHaveLength(i % 4 === 0 ? 1 : 0);
    const ends = await store.write(ids.map((id) => end(id)));
    const expectedEnds = [undefined, 'cancelled', undefined, 'deleted'];
    expect(ids.map((_, i) => ends.answers[i]?.outcome)).toEqual(ids.map((_, i) => expectedEnds[i % 4]));
  });
});
