// Messages, events, waits and parking: who finds what, in which order, and that no cause of a wake-up is missed.
import { describeEachDriver } from '@pawl/test-support/drivers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { forget, wake } from '../../packages/core/src/store/lifecycle.ts';
import type { Operation, WaitPart } from '../../packages/core/src/store/operations.ts';
import { end, fenced, ME, openStore, start, step, type Store, ways } from './open-store.ts';

describeEachDriver('a wait', { pooler: true }, (driver) => {
  let store: Store;
  let made = 0;

  beforeAll(async () => {
    store = await openStore(driver);
  });
  afterAll(() => store.close());

  const fresh = async (owner = ME) => {
    const id = `w-${++made}`;
    await store.write([start(id)]);
    if (owner !== ME) await store.rows('UPDATE pawl.workflow SET owner = $2 WHERE id = $1', [id, owner]);
    return id;
  };
  let messages = 0;
  const message = (destination: string, body: string, topic = 'topic', part: object = {}): Operation => ({
    message: { destination, id: `m-${++messages}`, topic, body, sender: null, park: false, ...part },
  });
  const wait = (workflowID: string, stepID: number, part: Partial<WaitPart> = {}): Operation => ({
    ...fenced(workflowID, stepID, stepID + 1),
    wait: { kind: 'recv', name: null, target: 'topic', timeoutMs: 60_000, ...part },
  });
  const event = (
    workflowID: string,
    stepID: number,
    key: string,
    value: string,
    once = false,
  ): Operation => ({
    ...step(workflowID, stepID, { kind: 'setEvent', name: key }),
    event: { key, value, once },
  });
  const park = (workflowID: string, awaited: string[] = []): Operation => ({
    ...fenced(workflowID, null, null),
    park: awaited,
  });
  const only = async (operation: Operation) => (await store.write([operation])).answers[0];
  const row = async (id: string) =>
    (
      await store.rows<{ parked: boolean; due: boolean; wakes: boolean; watched: boolean; status: string }>(
        `SELECT owner IS NULL AS parked, coalesce(wake_at <= pawl.clock(), false) AS due, wake_at IS NOT NULL AS wakes, watched, status
         FROM pawl.workflow WHERE id = $1`,
        [id],
      )
    )[0];
  const bodies = async (id: string) =>
    (
      await store.rows<{ body: string }>(
        'SELECT body FROM pawl.message WHERE destination = $1 ORDER BY sequence',
        [id],
      )
    ).map(({ body }) => body);

  describe.each(ways)('(%s)', (_, write) => {
    test('for a message takes the oldest of its topic, once', async () => {
      const id = await fresh();
      await store.write([message(id, '1'), message(id, 'x', 'other'), message(id, '2')]);
      expect(await write(store, wait(id, 0))).toMatchObject({ outcome: 'value', output: '1', detail: null });
      expect(await write(store, wait(id, 0))).toMatchObject({ outcome: 'value', output: '1' });
      expect(await write(store, wait(id, 1))).toMatchObject({ outcome: 'value', output: '2' });
      expect(await write(store, wait(id, 2))).toMatchObject({ outcome: 'wait', output: null });
    });

    test('keeps its first deadline, however often it looks', async () => {
      const id = await fresh();
      const first = await write(store, wait(id, 0, { timeoutMs: 60_000 }));
      const second = await write(store, wait(id, 0, { timeoutMs: 1 }));
      expect(first?.outcome).toBe('wait');
      expect(second).toEqual(first);
      expect(await write(store, wait(id, 1, { timeoutMs: null }))).toMatchObject({
        outcome: 'wait',
        at: null,
      });
    });

    test('ends with its time, unless what it waits for is there', async () => {
      const id = await fresh();
      expect(await write(store, wait(id, 0, { timeoutMs: 0 }))).toMatchObject({
        outcome: 'value',
        detail: 'timeout',
      });
      expect(await write(store, wait(id, 1, { kind: 'sleep', target: null, timeoutMs: 0 }))).toMatchObject({
        outcome: 'value',
        detail: 'timeout',
      });
      await store.write([message(id, '1')]);
      expect(await write(store, wait(id, 2, { timeoutMs: 0 }))).toMatchObject({ output: '1', detail: null });
      await store.write([message(id, '2')]);
      expect(await write(store, wait(id, 0))).toMatchObject({ outcome: 'value', detail: 'timeout' });
    });

    test('for an event finds its last value, and else leaves a waiter that fires', async () => {
      const [id, setter] = [await fresh(), await fresh()];
      const getEvent = { kind: 'getEvent', name: 'key', target: setter } as const;
      expect(await write(store, wait(id, 0, getEvent))).toMatchObject({ outcome: 'wait' });
      expect((await row(setter))?.watched).toBe(true);
      const { fired } = await store.write([event(setter, 0, 'key', '1'), event(setter, 1, 'key', '2')]);
      expect(fired).toBe(true);
      expect((await wake(store.lane)).filter((hint) => hint.workflowID === id)).toEqual([
        { workflowID: id, executor: ME },
      ]);
      expect((await store.write([event(setter, 2, 'key', '3')])).fired).toBe(false);
      expect(await write(store, wait(id, 0, getEvent))).toMatchObject({ outcome: 'value', output: '3' });
    });

    test('for another event is not told', async () => {
      const [id, setter] = [await fresh(), await fresh()];
      await write(store, wait(id, 0, { kind: 'getEvent', name: 'key', target: setter }));
      expect((await store.write([event(setter, 0, 'other', '1')])).fired).toBe(false);
      expect((await store.write([end(setter)])).fired).toBe(false);
    });

    test('for a result finds it, and else leaves a waiter that fires at the end', async () => {
      const [id, other] = [await fresh(), await fresh()];
      const getResult = { kind: 'getResult', target: other, timeoutMs: null } as const;
      expect(await write(store, wait(id, 0, getResult))).toMatchObject({ outcome: 'wait', at: null });
      expect((await store.write([end(other, 1, '42')])).fired).toBe(true);
      expect(await wake(store.lane)).toContainEqual({ workflowID: id, executor: ME });
      expect(await write(store, wait(id, 0, getResult))).toMatchObject({
        outcome: 'value',
        output: '42',
        detail: 'SUCCESS',
      });
    });

    test('for what nobody started yet reserves the id, which a start then takes', async () => {
      const id = await fresh();
      const target = `unborn-${made}`;
      expect(await write(store, wait(id, 0, { kind: 'getResult', target, timeoutMs: null }))).toMatchObject({
        outcome: 'wait',
      });
      expect(await row(target)).toMatchObject({ status: 'RESERVED', watched: true });
      await store.write([start(target, { chosen: true })]);
      expect((await store.write([end(target, 1, '1')])).fired).toBe(true);
      await wake(store.lane);
    });

    test('for messages that nobody may receive yet: missing, or parked with the id', async () => {
      const target = `unborn-${++made}`;
      expect(await write(store, message(target, '1'))).toMatchObject({ outcome: 'missing' });
      expect(await row(target)).toBeUndefined();
      const parked = message(target, '1', 'topic', { park: true });
      expect(await write(store, parked)).toBeUndefined();
      expect(await write(store, parked)).toBeUndefined();
      expect(await write(store, message(target, '2'))).toMatchObject({ outcome: 'missing' });
      expect(await bodies(target)).toEqual(['1']);
      await store.write([start(target, { chosen: true })]);
      expect(await write(store, wait(target, 0))).toMatchObject({ outcome: 'value', output: '1' });
    });

    test('of a step that sends to nobody records nothing; a send that is repeated is one message', async () => {
      const [id, target] = [await fresh(), await fresh()];
      const send = (stepID: number, destination: string): Operation => ({
        ...step(id, stepID, { kind: 'send', target: destination }),
        ...message(destination, String(stepID), 'topic', { id: `${id}:${stepID}` }),
      });
      expect(await write(store, send(0, 'nobody-at-all'))).toMatchObject({ outcome: 'missing' });
      await write(store, send(1, target));
      await store.write([send(1, target)], { careful: true });
      expect(await bodies(target)).toEqual(['1']);
      expect(await store.rows('SELECT step_id FROM pawl.step WHERE workflow_id = $1', [id])).toEqual([
        { step_id: 1 },
      ]);
    });

    test('parks if nothing is there, and is woken by its time alone if it has one', async () => {
      const [id, forever] = [await fresh(), await fresh()];
      await store.write([wait(id, 0), wait(forever, 0, { timeoutMs: null })]);
      expect([undefined, 'written']).toContain((await write(store, park(id)))?.outcome);
      expect([undefined, 'written']).toContain((await write(store, park(forever)))?.outcome);
      expect(await row(id)).toMatchObject({ parked: true, due: false, wakes: true });
      expect(await row(forever)).toMatchObject({ parked: true, wakes: false });
    });

    test('does not park while something of what it waits for is there', async () => {
      const [id, other] = [await fresh(), await fresh()];
      const causes: [Partial<WaitPart>, Operation][] = [
        [{}, message(id, '1')],
        [{ kind: 'getEvent', name: 'key', target: other }, event(other, 0, 'key', '1')],
        [{ kind: 'getResult', target: other, timeoutMs: null }, end(other)],
      ];
      for (const [i, [part, cause]] of causes.entries()) {
        await store.write([wait(id, i, part)]);
        await store.write([cause]);
        expect(await write(store, park(id, [other]))).toMatchObject({ outcome: 'ready' });
        await store.write([wait(id, i, part)]);
      }
      await store.write([wait(id, 8, { kind: 'sleep', target: null, timeoutMs: 1 })]);
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(await write(store, park(id))).toMatchObject({ outcome: 'ready' });
      expect(await row(id)).toMatchObject({ parked: false });
    });

    test('that is parked becomes due by a message of its topic, not by another one', async () => {
      const id = await fresh();
      await store.write([wait(id, 0, { timeoutMs: null })]);
      await store.write([park(id)]);
      expect((await store.write([message(id, '1', 'other')])).ready).toBe(false);
      expect(await row(id)).toMatchObject({ parked: true, wakes: false });
      await write(store, message(id, '1'));
      expect(await row(id)).toMatchObject({ parked: true, due: true });
    });

    test('that is parked becomes due by the event and by the end that it waits for', async () => {
      const [byEvent, byEnd, other] = [await fresh(), await fresh(), await fresh()];
      await store.write([
        wait(byEvent, 0, { kind: 'getEvent', name: 'key', target: other, timeoutMs: null }),
        wait(byEnd, 0, { kind: 'getResult', target: other, timeoutMs: null }),
      ]);
      await store.write([park(byEvent, [other]), park(byEnd, [other])]);
      await write(store, event(other, 0, 'key', '1'));
      await wake(store.lane);
      expect(await row(byEvent)).toMatchObject({ parked: true, due: true });
      expect(await row(byEnd)).toMatchObject({ parked: true, wakes: false });
      await write(store, end(other));
      await wake(store.lane);
      expect(await row(byEnd)).toMatchObject({ parked: true, due: true });
    });

    test('of a message to another executor hints at it', async () => {
      const id = await fresh(ME + 1);
      const own = await fresh();
      const { hints } = await store.write([message(id, '1'), message(own, '1')]);
      expect(hints).toEqual([{ workflowID: id, executor: ME + 1 }]);
      expect(await write(store, message(id, '2'))).toBeUndefined();
      // One that is alone tells it by its commit (interleavings/lone-messages).
      expect((await store.write([message(id, '3')])).hints).toEqual([]);
      expect((await store.write([message(own, '3')])).hints).toEqual([]);
    });
  });

  test('of several in one flush are paired with the messages in order', async () => {
    const id = await fresh();
    await store.write(['1', '2', '3'].map((body) => message(id, body)).concat(message(id, 'x', 'other')));
    const { answers } = await store.write([
      wait(id, 0),
      wait(id, 1, { target: 'other' }),
      wait(id, 2),
      wait(id, 3),
      wait(id, 4),
    ]);
    expect(answers.map((answer) => answer?.output)).toEqual(['1', 'x', '2', '3', null]);
    expect(answers[4]?.outcome).toBe('wait');
  });

  test('finds the message, the event and the end that the same flush brings', async () => {
    const [id, setter, ending] = [await fresh(), await fresh(), await fresh()];
    const { answers } = await store.write([
      message(id, '1'),
      event(setter, 0, 'key', '2'),
      end(ending, 1, '3'),
      wait(id, 0),
      wait(id, 1, { kind: 'getEvent', name: 'key', target: setter }),
      wait(id, 2, { kind: 'getResult', target: ending }),
    ]);
    expect(answers.slice(3).map((answer) => answer?.output)).toEqual(['1', '2', '3']);
  });

  test('and a park in the flush that brings its message sees it', async () => {
    const id = await fresh();
    await store.write([wait(id, 0)]);
    const { answers } = await store.write([park(id), message(id, '1')]);
    expect(answers[0]).toMatchObject({ outcome: 'ready' });
    expect(await row(id)).toMatchObject({ parked: false });
  });

  test('of an event that may be set once: the first wins, in one flush and in two', async () => {
    const id = await fresh();
    const { answers } = await store.write([event(id, 0, 'key', '1', true), event(id, 1, 'key', '2', true)]);
    expect([answers[0], answers[1]?.outcome]).toEqual([undefined, 'set']);
    // A rerun of the first is no second one.
    const rerun = await store.write([event(id, 0, 'key', '1', true)], { careful: true });
    expect(rerun.answers[0]?.outcome).not.toBe('set');
    expect(await only(event(id, 2, 'key', '3', true))).toMatchObject({ outcome: 'set' });
    expect(await only(event(id, 3, 'key', '4'))).toBeUndefined();
    expect(
      await store.rows('SELECT value FROM pawl.event WHERE workflow_id = $1 ORDER BY seq', [id]),
    ).toEqual([{ value: '1' }, { value: '4' }]);
  });

  test('of messages to one destination has the order of the flushes', async () => {
    const id = await fresh();
    for (let i = 0; i < 5; i++)
      await store.write(Array.from({ length: 20 }, (_, n) => message(id, String(i * 20 + n))));
    expect(await bodies(id)).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
  });

  test('is forgotten with its workflow, with its waiters', async () => {
    const [id, other] = [await fresh(), await fresh()];
    await store.write([wait(id, 0, { kind: 'getResult', target: other, timeoutMs: null })]);
    await forget(store.database, [id]);
    expect((await store.write([end(other)])).fired).toBe(false);
    expect(await store.rows('SELECT * FROM pawl.waiter WHERE workflow_id = $1', [id])).toEqual([]);
  });
});
