// Entries of streams: dense offsets under the workflow's lock, each once however often its flush is sent, and none from
// a write that was refused.
import { describeEachDriver } from '@pawl/test-support/drivers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cancel, forget, fork, resume, watch } from '../../packages/core/src/store/lifecycle.ts';
import type { Operation } from '../../packages/core/src/store/operations.ts';
import { end, ME, openStore, start, step, type Store, ways } from './open-store.ts';

describeEachDriver('an entry of a stream', { pooler: true }, (driver) => {
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
  const put = (id: string, stepID: number, value: string | null, key = 'key', fence = 1): Operation => ({
    ...step(id, stepID, { kind: 'writeStream', name: key, fence }),
    entry: { key, value, closed: false },
  });
  const close = (id: string, stepID: number, key = 'key'): Operation => ({
    ...step(id, stepID, { kind: 'closeStream', name: key }),
    entry: { key, value: null, closed: true },
  });
  /** As `key position value`, the end as `key position.` */
  const entries = async (id: string) =>
    (
      await store.rows<{ key: string; position: number; value: string; closed: boolean }>(
        'SELECT key, position, value, closed FROM pawl.stream WHERE workflow_id = $1 ORDER BY key, position',
        [id],
      )
    ).map(({ key, position, value, closed }) => `${key} ${position}${closed ? '.' : ` ${value}`}`);
  const stepIDs = async (id: string) =>
    (
      await store.rows<{ step_id: number }>(
        'SELECT step_id FROM pawl.step WHERE workflow_id = $1 ORDER BY step_id',
        [id],
      )
    ).map((row) => row.step_id);

  describe.each(ways)('%s', (_, write) => {
    test('is appended, and is there once when it comes again', async () => {
      const id = await fresh();
      await store.write([put(id, 0, 'a')]);
      for (let time = 0; time < 3; time++) {
        expect([undefined, 'written']).toContain((await write(store, put(id, 1, 'b')))?.outcome);
        expect(await entries(id)).toEqual(['key 0 a', 'key 1 b']);
      }
    });

    test('that comes again is not written anew after its workflow was cancelled, or has ended', async () => {
      const [cancelled, ended] = [await fresh(), await fresh()];
      for (const id of [cancelled, ended]) await write(store, put(id, 0, 'a'));
      await cancel(store.database, [cancelled], false);
      await store.write([end(ended)]);
      for (const id of [cancelled, ended]) {
        await write(store, put(id, 0, 'a'));
        expect(await entries(id)).toEqual(['key 0 a']);
      }
    });

    test('of a run that may not write is not written, nor is its step', async () => {
      const [cancelled, resumed, ended] = [await fresh(), await fresh(), await fresh()];
      await cancel(store.database, [cancelled, resumed], false);
      await resume(store.database, [resumed]);
      await store.write([end(ended)]);
      expect((await write(store, put(cancelled, 0, 'a')))?.outcome).toBe('cancelled');
      expect((await write(store, put(resumed, 0, 'a')))?.outcome).toBe('superseded');
      expect((await write(store, put(ended, 0, 'a')))?.outcome).toBe('ended');
      expect((await write(store, put('nobody', 0, 'a')))?.outcome).toBe('deleted');
      for (const id of [cancelled, resumed, ended, 'nobody'])
        expect([await entries(id), await stepIDs(id)]).toEqual([[], []]);
    });

    test('behind the end is refused, however often it comes; to close again is no error', async () => {
      const id = await fresh();
      await store.write([put(id, 0, 'a')]);
      for (let time = 0; time < 2; time++)
        expect((await write(store, close(id, 1)))?.outcome).not.toBe('closed');
      for (let time = 0; time < 2; time++)
        expect((await write(store, put(id, 2, 'b')))?.outcome).toBe('closed');
      expect(await write(store, close(id, 3))).toBeUndefined();
      expect(await write(store, put(id, 4, 'c', 'other'))).toBeUndefined();
      expect(await entries(id)).toEqual(['key 0 a', 'key 1.', 'other 0 c']);
      expect(await stepIDs(id)).toEqual([0, 1, 3, 4]);
    });
  });

  test('has the next offset of its stream, also beside others of the same flush, which may come again', async () => {
    const [one, two] = [await fresh(), await fresh()];
    await store.write([put(one, 0, 'a'), put(two, 0, 'a')]);
    const flush = [
      put(one, 1, 'b'),
      put(two, 1, 'b', 'other'),
      put(one, 2, 'c'),
      close(two, 2, 'other'),
      put(one, 3, 'd', 'other'),
      put(two, 3, 'late', 'other'),
      put(two, 4, 'c'),
    ];
    for (const careful of [false, true, true]) {
      const { answers } = await store.write(flush, { careful });
      expect([...answers].map((answer) => answer?.outcome === 'closed')).toEqual(
        flush.map((_, op) => op === 5),
      );
      expect(await entries(one)).toEqual(['key 0 a', 'key 1 b', 'key 2 c', 'other 0 d']);
      expect(await entries(two)).toEqual(['key 0 a', 'key 1 c', 'other 0 b', 'other 1.']);
    }
  });

  test('goes with its workflow, and with the steps that a fork takes over', async () => {
    const id = await fresh();
    const values = [
      put(id, 0, 'a'),
      put(id, 1, 'x', 'other'),
      put(id, 2, 'b'),
      close(id, 3),
      put(id, 4, null, 'other'),
    ];
    await store.write(values);
    for (const [fromStep, expected] of [
      [0, []],
      [2, ['key 0 a', 'other 0 x']],
      [9, await entries(id)],
    ] as const) {
      const newWorkflowID = `${id}-${fromStep}`;
      await fork(store.database, { workflowID: id, fromStep, newWorkflowID, nonce: 'n', version: null });
      expect(await entries(newWorkflowID)).toEqual(expected);
    }
    await forget(store.database, [id]);
    expect(await entries(id)).toEqual([]);
    expect(await entries(`${id}-9`)).toHaveLength(5);
  });

  test('fires those who follow its stream, and its end those who follow any', async () => {
    const id = await fresh();
    const followed = ['', 'key', 'other'].map((key) => ({ workflowID: id, key, after: key === '' ? 0 : -1 }));
    const look = (register: boolean) =>
      watch(store.lane, { executor: ME, register, results: [], events: [], followed });
    const fired = async () =>
      (
        await store.rows<{ key: string }>(
          `SELECT key FROM pawl.waiter WHERE target = $1 AND fired ORDER BY key`,
          [id],
        )
      ).map(({ key }) => key);
    expect(await look(true)).toEqual([]);
    expect((await store.write([put(id, 0, 'a')])).fired).toBe(true);
    expect(await fired()).toEqual(['key']);
    expect((await look(false)).map(({ key, output }) => [key, output])).toEqual([['key', '-1']]);
    expect((await store.write([end(id)])).fired).toBe(true);
    expect(await fired()).toEqual(['', 'key', 'other']);
  });

  test('is news to who waits for the start of its workflow, who has seen less, and who is behind the end', async () => {
    const look = async (workflowID: string, after: number | null) =>
      (
        await watch(store.lane, {
          ...{ executor: ME, register: false, results: [], events: [] },
          followed: [{ workflowID, key: 'key', after }],
        })
      ).length > 0;
    const id = `w-${++made}`;
    expect([await look(id, null), await look(id, -1)]).toEqual([false, true]);
    await store.write([start(id)]);
    expect([await look(id, null), await look(id, -1)]).toEqual([true, false]);
    await store.write([put(id, 0, 'a')]);
    expect([await look(id, -1), await look(id, 0), await look(id, 7)]).toEqual([true, false, false]);
    await store.write([close(id, 1)]);
    expect([await look(id, 0), await look(id, 7)]).toEqual([true, true]);
  });
});
