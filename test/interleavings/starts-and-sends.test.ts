// Starts of one id, messages that are kept for ids nobody started, and what one flush pairs within itself.
import { describe, expect, test } from 'vitest';
import { ANYBODY } from '../../packages/core/src/engine/starts.ts';
import { classifyFault } from '../../packages/core/src/store/faults.ts';
import { flushWithin } from '../../packages/core/src/store/flush.ts';
import type { Operation } from '../../packages/core/src/store/operations.ts';
import { createQualifier } from '../../packages/core/src/store/schema-name.ts';
import {
  checkpoint,
  parking,
  PEER,
  sending,
  sendingFrom,
  settingEvent,
  type Side,
  starting,
  startingChild,
  twoConnections,
  waiting,
} from './two-connections.ts';

const sides = twoConnections();
const { interleave, start, row, count } = sides;

const mine = (input: string | null = null) =>
  starting('w', { nonce: 'mine', fence: 11, input, chosen: true });
const theirs = (input: string | null = null) =>
  starting('w', { nonce: 'theirs', fence: 22, input, chosen: true });
const kept = () => sending('w', 'kept', 'topic', true);

/** What a recv of `w` under this fence finds. */
async function received(fence: number, stepID = 0): Promise<string | null | undefined> {
  const look = waiting('w', stepID, 'recv', 'topic');
  Object.assign(look.fenced as object, { fence });
  return (await sides.eye.flush([look])).answers[0]?.output;
}

describe('starts of one id by two processes', () => {
  test('one starts it, the other is told what is there', async () => {
    const [one, two] = await interleave(
      (side) => side.flush([mine('first')]),
      (side) => side.flush([theirs('second')], PEER),
    );
    expect(one.answers).toEqual([undefined]);
    expect(two.answers[0]).toMatchObject({ outcome: 'exists', output: 'first', error: 'PENDING' });
    expect(await row('w')).toMatchObject({ owner: 1, fence: 11 });
  });

  test('in one flush: the first of them', async () => {
    const { answers } = await sides.eye.flush([mine('first'), theirs('second'), starting('other')]);
    expect(answers[0]).toBeUndefined();
    expect(answers[1]).toMatchObject({ outcome: 'exists', output: 'first' });
    expect(answers[2]).toBeUndefined();
  });

  test('one that is rolled back leaves the id to the other', async () => {
    const [, two] = await interleave(
      (side) => side.flush([mine('first')]),
      (side) => side.flush([theirs('second')], PEER),
      'rollback',
    );
    expect(two.answers).toEqual([undefined]);
    expect(await row('w')).toMatchObject({ owner: PEER, fence: 22 });
  });

  test("one inside a user's transaction, seen only once that commits", async () => {
    const detached = { start: { ...mine('first').start, queued: ANYBODY } };
    const [one, two] = await interleave(
      (side) => flushWithin(side.on, createQualifier('pawl'), 1, [detached as Operation]),
      (side) => side.flush([theirs('second')], PEER),
    );
    expect(one.answers).toEqual([undefined]);
    expect(two.answers[0]).toMatchObject({ outcome: 'exists', output: 'first' });
    expect(await sides.b.claim()).toMatchObject([{ workflowID: 'w', input: 'first', fence: 12 }]);
  });
});

describe('a start and a message that is kept for it', () => {
  test('the message first: the placeholder becomes the workflow, and has it', async () => {
    const [, { answers }] = await interleave(
      (side) => side.flush([kept()]),
      (side) => side.flush([mine('input')]),
    );
    expect(answers[0]?.outcome ?? 'started').toBe('started');
    expect(await row('w')).toMatchObject({ status: 'PENDING', owner: 1, fence: 11 });
    expect(await received(11)).toBe('kept');
  });

  test('the message first, and an id that the caller thinks is its own', async () => {
    await sides.eye.flush([kept()]);
    const start = { ...mine('input'), start: { ...mine('input').start, chosen: false } };
    const { answers } = await sides.eye.flush([start as Operation, starting('other')]);
    expect(answers[0]?.outcome ?? 'started').toBe('started');
    expect(await received(11)).toBe('kept');
  });

  test('the start first: the message goes to it, and its process is named for a hint', async () => {
    const [, sent] = await interleave(
      (side) => side.flush([mine('input')]),
      (side) => side.flush([kept()], PEER),
    );
    expect(sent.answers).toEqual([undefined]);
    expect(sent.hints).toEqual([{ workflowID: 'w', executor: 1 }]);
    expect(await row('w')).toMatchObject({ status: 'PENDING', owner: 1, fence: 11 });
    expect(await received(11)).toBe('kept');
  });

  test('two messages for one id that nobody started: both are kept, in the order of the commits', async () => {
    await interleave(
      (side) => side.flush([sending('w', 'one', 'topic', true)]),
      (side) => side.flush([sending('w', 'two', 'topic', true)]),
    );
    await sides.eye.flush([mine()]);
    expect([await received(11, 0), await received(11, 1)]).toEqual(['one', 'two']);
  });
});

describe('in one flush', () => {
  test('two recv of one topic get one message each, in order', async () => {
    const id = await start('w');
    await sides.eye.flush(['one', 'two', 'three'].map((message) => sending(id, message)));
    await sides.eye.flush([sending(id, 'other', 'elsewhere')]);
    const { answers } = await sides.eye.flush([
      waiting(id, 0, 'recv', 'topic'),
      waiting(id, 1, 'recv', 'elsewhere'),
      waiting(id, 2, 'recv', 'topic'),
    ]);
    expect(answers.map((answer) => answer?.output)).toEqual(['one', 'other', 'two']);
    expect(await received(1, 3)).toBe('three');
  });

  test('three recv and one message: the first gets it, the others wait', async () => {
    const id = await start('w');
    const looks = [0, 1, 2].map((stepID) => waiting(id, stepID, 'recv', 'topic'));
    const { answers } = await sides.eye.flush([sending(id, 'one'), ...looks]);
    expect(answers.slice(1).map((answer) => answer?.outcome)).toEqual(['value', 'wait', 'wait']);
  });

  test('a bad operation does not take the others with it', async () => {
    const id = await start('w');
    const { answers } = await sides.eye.flush([
      checkpoint(id, 0, 'old', 99),
      checkpoint(id, 1, 'new'),
      sending('nobody', 'm'),
      sending(id, 'm'),
    ]);
    expect(answers.map((answer) => answer?.outcome)).toEqual(['superseded', undefined, 'missing', undefined]);
    expect([await count('step', id), await count('message', id)]).toEqual([1, 1]);
  });
});

test('two flushes over the same twenty rows in opposite order, a hundred times, do not deadlock', async () => {
  const ids = Array.from({ length: 20 }, (_, i) => `w${String(i).padStart(2, '0')}`);
  for (const id of ids) await start(id);
  await start('source-a');
  await start('source-b');
  const rounds = async (side: Side, name: string, order: string[]) => {
    for (let round = 0; round < 100; round++) {
      const operations: Operation[] = order.map((id) => sending(id, `${name}-${round}`));
      operations.push(sendingFrom(`source-${name}`, round, order[0] as string));
      // Writers of every kind: some lock through their fences, some through their targets.
      operations.push(
        ...order.slice(0, 5).map((id) => checkpoint(id, round * 2 + Number(name === 'b'), 'x')),
      );
      const { answers } = await side.flush(operations);
      expect(answers.filter((answer) => answer !== undefined)).toEqual([]);
    }
  };
  await Promise.all([rounds(sides.a, 'a', ids), rounds(sides.b, 'b', [...ids].reverse())]);
  for (const id of ids) expect(await count('message', id)).toBeGreaterThanOrEqual(200);
});

/** Operations that take one another's rows, in the order of the array. */
const tangles: [string, (x: string, y: string, seq: number) => Operation[]][] = [
  ['checkpoints', (x, y, n) => [checkpoint(x, n, 'x'), checkpoint(y, n, 'y')]],
  ['sends to one another', (x, y, n) => [sendingFrom(x, n, y), sendingFrom(y, n, x)]],
  ['waits for one another', (x, y, n) => [waiting(x, n, 'getResult', y), waiting(y, n, 'getResult', x)]],
  [
    'waits for ids that nobody started',
    (x, y, n) => [waiting(x, n, 'getResult', `${x}+${n >> 1}`), waiting(y, n, 'getResult', `${y}+${n >> 1}`)],
  ],
  ['events', (x, y, n) => [settingEvent(x, n, 'x'), settingEvent(y, n, 'y')]],
  ['parks', (x, y) => [parking(x, y), parking(y, x)]],
  ['children', (x, y, n) => [startingChild(x, n, `${x}.${n}`), startingChild(y, n, `${y}.${n}`)]],
  [
    'starts',
    (x, y, n) => [
      starting(`${x}${n >> 1}`, { nonce: x + y, chosen: true }),
      starting(`${y}${n >> 1}`, { nonce: x + y, chosen: true }),
    ],
  ],
  [
    'messages that are kept',
    (x, y, n) => [
      sending(`${x}${n >> 1}`, `${x}${y}`, 'topic', true),
      sending(`${y}${n >> 1}`, `${x}${y}`, 'topic', true),
    ],
  ],
];

test.each(tangles)('opposite orders of %s do not deadlock', async (_, tangle) => {
  const [x, y] = [await start('x'), await start('y')];
  const rounds = async (side: Side, order: [string, string], offset: number) => {
    let deadlocks = 0;
    for (let round = 0; round < 20; round++) {
      await side.flush(tangle(...order, round * 2 + offset)).catch((error: unknown) => {
        if (classifyFault(error) !== 'conflict') throw error;
        deadlocks++;
      });
    }
    return deadlocks;
  };
  expect(await Promise.all([rounds(sides.a, [x, y], 0), rounds(sides.b, [y, x], 1)])).toEqual([0, 0]);
});
