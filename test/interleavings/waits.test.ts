// Whoever parks against whoever ends the wait, in both orders: nobody sleeps through a message, an event or a result.
import { describe, expect, test } from 'vitest';
import { cancel, forget, wake } from '../../packages/core/src/store/lifecycle.ts';
import {
  ending,
  parking,
  PEER,
  sending,
  sendingFrom,
  settingEvent,
  type Side,
  starting,
  twoConnections,
  waiting,
} from './two-connections.ts';

const sides = twoConnections();
const { interleave, start, row, count } = sides;

/** Starts `sleeper`, which waits, with its row, and is about to park. */
async function waiter(kind: 'recv' | 'getEvent' | 'getResult', target: string): Promise<void> {
  await start('sleeper');
  const { answers } = await sides.eye.flush([waiting('sleeper', 0, kind, target)]);
  expect(answers[0]).toMatchObject({ outcome: 'wait' });
}

const park =
  (...awaited: string[]) =>
  (side: Side) =>
    side.flush([parking('sleeper', ...awaited)]);

const staysHere = { status: 'PENDING', owner: 1 };
const due = { status: 'PENDING', owner: null, due: true };

describe('a message', () => {
  test('sent before the park: that finds it, and the workflow stays', async () => {
    await waiter('recv', 'topic');
    const [, { answers }] = await interleave((side) => side.flush([sending('sleeper', 'm')]), park());
    expect(answers[0]).toMatchObject({ outcome: 'ready' });
    expect(await row('sleeper')).toMatchObject(staysHere);
  });

  test('sent after the park: the workflow is due', async () => {
    await waiter('recv', 'topic');
    const [, sent] = await interleave(park(), (side) => side.flush([sending('sleeper', 'm')]));
    expect(sent.ready).toBe(true);
    expect(await row('sleeper')).toMatchObject(due);
    expect(await sides.b.claim()).toMatchObject([{ workflowID: 'sleeper', fence: 2 }]);
  });

  test('of another topic wakes nobody', async () => {
    await waiter('recv', 'topic');
    const [, sent] = await interleave(park(), (side) => side.flush([sending('sleeper', 'm', 'other')]));
    expect(sent.ready).toBe(false);
    expect(await row('sleeper')).toMatchObject({ owner: null, due: false });
  });

  test('sent before the first look: that takes it', async () => {
    await start('sleeper');
    const [, { answers }] = await interleave(
      (side) => side.flush([sending('sleeper', 'm')]),
      (side) => side.flush([waiting('sleeper', 0, 'recv', 'topic')]),
    );
    expect(answers[0]).toMatchObject({ outcome: 'value', output: 'm' });
  });

  test('to a workflow that starts while the send waits for another lock: the park waits for it, and finds it', async () => {
    await start('source');
    await sides.a.begin();
    await sides.a.on.query("SELECT FROM pawl.workflow WHERE id = 'source' FOR UPDATE");
    await sides.b.begin();
    const sent = sides.b.flush([sendingFrom('source', 0, 'sleeper')]);
    await expect.poll(() => sides.b.waits(), { interval: 2 }).toBe(true);
    await waiter('recv', 'topic');
    await sides.a.rollback();
    expect((await sent).answers).toEqual([undefined]);

    const parked = park()(sides.a);
    await expect.poll(() => sides.a.waits(), { interval: 2 }).toBe(true);
    await sides.b.commit();
    expect((await parked).answers[0]).toMatchObject({ outcome: 'ready' });
    expect(await row('sleeper')).toMatchObject(staysHere);
  });

  test('of a sender that rolls back: the workflow parks', async () => {
    await waiter('recv', 'topic');
    const send = (side: Side) => side.flush([sending('sleeper', 'm')]);
    const [, { answers }] = await interleave(send, park(), 'rollback');
    expect(answers).toEqual([undefined]);
    expect(await row('sleeper')).toMatchObject({ owner: null, due: false });
  });
});

const look = (kind: 'getEvent' | 'getResult') => (side: Side) =>
  side.flush([waiting('sleeper', 0, kind, 'target')]);

describe.each([
  ['a result', 'getResult', () => ending('target', 'value')],
  ['an event', 'getEvent', () => settingEvent('target', 0, 'value')],
] as const)('%s', (_, kind, cause) => {
  const happen = (side: Side) => side.flush([cause()]);

  test('before the first look: that has it', async () => {
    await start('target');
    await start('sleeper');
    const [, { answers }] = await interleave(happen, look(kind));
    expect(answers[0]).toMatchObject({ outcome: 'value', output: 'value' });
    expect(await count('waiter', 'target')).toBe(0);
  });

  test('after the first look: the waiter is fired', async () => {
    await start('target');
    await start('sleeper');
    const [, { fired }] = await interleave(look(kind), happen);
    expect(fired).toBe(true);
    expect(await wake(sides.eye)).toEqual([{ executor: 1, workflowID: 'sleeper' }]);
  });

  test('before the park: that finds it, and the workflow stays', async () => {
    await start('target');
    await waiter(kind, 'target');
    const [, { answers }] = await interleave(happen, park('target'));
    expect(answers[0]).toMatchObject({ outcome: 'ready' });
    expect(await row('sleeper')).toMatchObject(staysHere);
  });

  test('after the park: a peer passes it on though the one that caused it died first', async () => {
    await start('target');
    await waiter(kind, 'target');
    const [, { fired }] = await interleave(park('target'), happen);
    expect(fired).toBe(true);
    expect(await row('sleeper')).toMatchObject({ owner: null, due: false });
    expect(await wake(sides.eye)).toEqual([{ executor: 0, workflowID: 'sleeper' }]);
    expect(await row('sleeper')).toMatchObject(due);
    expect(await count('waiter', 'target')).toBe(0);
    expect(await wake(sides.eye)).toEqual([]);
    const claimed = await sides.b.claim();
    expect(claimed.find(({ workflowID }) => workflowID === 'sleeper')).toMatchObject({ fence: 2 });
  });

  test('while the waiter is being parked, passed on by a peer: it is passed over, and comes again', async () => {
    await start('target');
    await waiter(kind, 'target');
    await happen(sides.eye);
    await sides.a.begin();
    await park('target')(sides.a);
    expect(await wake(sides.b)).toEqual([{ executor: -1, workflowID: null }]);
    await sides.a.commit();
    expect(await wake(sides.b)).toEqual([{ executor: 1, workflowID: 'sleeper' }]);
  });

  test('of a workflow that nobody has started yet when it is awaited, started and caused meanwhile', async () => {
    await start('sleeper');
    const [, { answers }] = await interleave(
      async (side) => {
        await side.flush([starting('target', { chosen: true })]);
        await side.flush([cause()]);
      },
      (side) => look(kind)(side),
    );
    // Unknown at the first look: it waits, and what it waits for is passed on.
    if (answers[0]?.outcome === 'wait') {
      await wake(sides.eye);
      const { answers: again } = await look(kind)(sides.eye);
      expect(again[0]).toMatchObject({ outcome: 'value', output: 'value' });
    } else expect(answers[0]).toMatchObject({ outcome: 'value', output: 'value' });
  });

  test('parked after its waiter was passed on, the hint was lost and the target was forgotten', async () => {
    await start('target');
    await waiter(kind, 'target');
    await forget(sides.eye.on, ['target']);
    await wake(sides.eye);
    expect(await count('waiter', 'target')).toBe(0);
    expect((await park('target')(sides.a)).answers).toEqual([undefined]);
    await sides.eye.flush([starting('target', { chosen: true })]);
    await happen(sides.eye);
    await wake(sides.eye);
    expect(await row('sleeper')).toMatchObject(due);
  });

  test('of a workflow that is started only after the waiter parked', async () => {
    await waiter(kind, 'target');
    await park('target')(sides.eye);
    await sides.eye.flush([starting('target', { chosen: true })]);
    const { fired } = await happen(sides.eye);
    expect(fired).toBe(true);
    await wake(sides.eye);
    expect(await row('sleeper')).toMatchObject(due);
  });
});

describe('the end of the awaited workflow by others', () => {
  test.each([
    ['a cancellation', (side: Side) => cancel(side.on, ['target'], false)],
    ['its deletion', (side: Side) => forget(side.on, ['target'])],
  ])('%s after the park makes the waiter due', async (_, end) => {
    await start('target');
    await waiter('getResult', 'target');
    await interleave(park('target'), end);
    await wake(sides.eye);
    expect(await row('sleeper')).toMatchObject(due);
  });

  test('a cancellation before the park is found by it', async () => {
    await start('target');
    await waiter('getResult', 'target');
    const [, { answers }] = await interleave((side) => cancel(side.on, ['target'], false), park('target'));
    expect(answers[0]).toMatchObject({ outcome: 'ready' });
  });
});

test('two waits of one workflow for one result, in one flush, leave one waiter', async () => {
  await start('target');
  await start('sleeper');
  const looks = [0, 1].map((stepID) => waiting('sleeper', stepID, 'getResult', 'target'));
  const { answers } = await sides.eye.flush(looks);
  expect(answers).toMatchObject([{ outcome: 'wait' }, { outcome: 'wait' }]);
  expect(await count('waiter', 'target')).toBe(1);
});

test('a claim of the parked waiter drops its waiters; the event that comes after needs nobody', async () => {
  await start('target');
  await waiter('getEvent', 'target');
  await park('target')(sides.eye);
  await sides.eye.on.query(`UPDATE pawl.workflow SET wake_at = pawl.clock() WHERE id = 'sleeper'`);
  const claimed = await sides.b.claim();
  expect(claimed).toMatchObject([{ workflowID: 'sleeper', fence: 2 }]);
  expect(await count('waiter', 'target')).toBe(0);
  expect((await sides.eye.flush([settingEvent('target', 0, 'value')], PEER)).fired).toBe(false);
});
