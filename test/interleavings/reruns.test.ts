// A flush whose answer was lost is sent again as a careful one: it recognizes what it wrote, and doubles nothing.
import { expect, test } from 'vitest';
import { cancel, forget } from '../../packages/core/src/store/lifecycle.ts';
import type { Answer, Operation } from '../../packages/core/src/store/operations.ts';
import {
  checkpoint,
  ending,
  OWNER,
  parking,
  PEER,
  sending,
  sendingFrom,
  settingEvent,
  starting,
  startingChild,
  twoConnections,
  waiting,
} from './two-connections.ts';

const sides = twoConnections();
const { start, row, count } = sides;

const again = (...operations: Operation[]) => sides.b.flush(operations, OWNER, true);

/** Writes it twice; both answers, without one where it was written. */
async function twice(operation: Operation) {
  const first = await sides.a.flush([operation]);
  const second = await again(operation);
  return [first, second].map(({ answers: [answer] }) => unlessWritten(answer));
}

const unlessWritten = (answer: Answer | undefined) => (answer?.outcome === 'written' ? undefined : answer);

test.each([
  ['a start', starting('new')],
  ['a start under an id of the caller', starting('new', { chosen: true })],
])('%s', async (_, operation) => {
  expect(await twice(operation)).toEqual([undefined, undefined]);
  expect(await row('new')).toMatchObject({ status: 'PENDING', owner: OWNER, fence: 1 });
});

test('a start that a peer has taken over meanwhile is still the own one', async () => {
  const operation = starting('new', { chosen: true });
  await sides.a.flush([operation]);
  await sides.eye.on.query(`UPDATE pawl.workflow SET owner = NULL, wake_at = pawl.clock() WHERE id = 'new'`);
  expect(await sides.b.claim()).toMatchObject([{ workflowID: 'new', fence: 2 }]);
  expect((await again(operation)).answers[0]).toMatchObject({ outcome: 'started' });
  expect(await row('new')).toMatchObject({ owner: PEER, fence: 2 });
});

test.each([
  ['a step', checkpoint('w', 0, 'value'), { step: 1 }],
  ['an event', settingEvent('w', 0, 'value'), { step: 1, event: 1 }],
  ['an event that may be set once', settingEvent('w', 0, 'value', true), { step: 1, event: 1 }],
  ['a message to itself', sendingFrom('w', 0, 'w'), { step: 1, message: 1 }],
  ['a message from outside', sending('w', 'm'), { message: 1 }],
  ['a child', startingChild('w', 0, 'w-0'), { step: 1 }],
  ['an end', ending('w', 'value'), {}],
] as const)('%s', async (_, operation, rows) => {
  await start('w');
  expect(await twice(operation)).toEqual([undefined, undefined]);
  for (const table of ['step', 'event', 'message'] as const)
    expect(await count(table, 'w')).toBe((rows as Partial<Record<typeof table, number>>)[table] ?? 0);
});

test.each([
  ['a step', checkpoint('w', 0, 'value')],
  ['an event', settingEvent('w', 0, 'value')],
  ['a message', sendingFrom('w', 0, 'other')],
  ['a child', startingChild('w', 0, 'w-0')],
] as const)('%s, cancelled between the commit and the rerun, was written', async (_, operation) => {
  await start('w');
  await start('other');
  await sides.a.flush([operation]);
  await cancel(sides.eye.on, ['w'], false);
  const [answer] = (await again(operation)).answers;
  expect(['written', 'kept']).toContain(answer?.outcome);
  expect(await count('step', 'w')).toBe(1);
});

test('a step that a peer has read by the time of the rerun was written', async () => {
  await start('w');
  await sides.a.flush([checkpoint('w', 0, 'value')]);
  await sides.eye.on.query(`UPDATE pawl.workflow SET owner = NULL, wake_at = pawl.clock() WHERE id = 'w'`);
  expect((await sides.b.claim())[0]?.journal).toMatchObject([{ output: 'value' }]);
  expect((await again(checkpoint('w', 0, 'value'))).answers[0]).toMatchObject({ outcome: 'written' });
});

test('a step where another record stands adopts that', async () => {
  await start('w');
  await sides.a.flush([checkpoint('w', 0, 'first')]);
  await sides.eye.on.query(`UPDATE pawl.step SET fence = 0`);
  expect((await again(checkpoint('w', 0, 'second'))).answers[0]).toMatchObject({
    outcome: 'adopted',
    output: 'first',
  });
});

test('a message whose destination was deleted by the time of the rerun was written', async () => {
  await start('w');
  await start('other');
  await sides.a.flush([sendingFrom('w', 0, 'other')]);
  await forget(sides.eye.on, ['other']);
  expect((await again(sendingFrom('w', 0, 'other'))).answers).toMatchObject([{ outcome: 'written' }]);
});

test('a child that ended and was deleted by the time of the rerun is not started again', async () => {
  await start('w');
  await sides.a.flush([startingChild('w', 0, 'w-0')]);
  await sides.eye.flush([ending('w-0', 'done')]);
  await forget(sides.eye.on, ['w-0']);
  expect((await again(startingChild('w', 0, 'w-0'))).answers).toMatchObject([{ outcome: 'written' }]);
  expect(await row('w-0')).toBeUndefined();
});

test('a recv that took a message has the same one again, and the next recv the next', async () => {
  await start('w');
  await sides.eye.flush([sending('w', 'one'), sending('w', 'two')]);
  const looks = [waiting('w', 0, 'recv', 'topic'), waiting('w', 1, 'recv', 'topic')];
  const first = await sides.a.flush(looks.slice(0, 1));
  const second = await again(...looks);
  expect(first.answers[0]).toMatchObject({ outcome: 'value', output: 'one' });
  expect(second.answers).toMatchObject([
    { outcome: 'value', output: 'one' },
    { outcome: 'value', output: 'two' },
  ]);
});

test.each(['getEvent', 'getResult'] as const)('a %s that found a value has it again', async (kind) => {
  await start('w');
  await start('other');
  await sides.eye.flush([settingEvent('other', 0, 'value')]);
  await sides.eye.flush([ending('other', 'value')]);
  const [first, second] = await twice(waiting('w', 0, kind, 'other'));
  expect(first).toMatchObject({ outcome: 'value', output: 'value' });
  expect(second).toEqual(first);
});

test.each(['recv', 'getEvent', 'getResult', 'sleep'] as const)(
  'a %s that waits keeps its deadline',
  async (kind) => {
    await start('w');
    await start('other');
    const operation = waiting('w', 0, kind, 'other');
    Object.assign(operation.wait as object, { timeoutMs: 60_000 });
    const [first, second] = await twice(operation);
    expect(first).toMatchObject({ outcome: 'wait', at: expect.any(Number) });
    expect(second).toEqual(first);
    expect(await count('step', 'w')).toBe(1);
  },
);

test('an attempt that begins', async () => {
  await start('w');
  const attempt = checkpoint('w', 0, 'x');
  Object.assign(attempt.fenced as object, { seq: null, keep: false });
  Object.assign(attempt.step as object, { output: null });
  expect(await twice(attempt)).toEqual([undefined, undefined]);
  expect(await count('step', 'w')).toBe(1);
});

test('a park', async () => {
  await start('w');
  await sides.eye.flush([waiting('w', 0, 'recv', 'topic')]);
  expect(await twice(parking('w'))).toEqual([undefined, undefined]);
  expect(await row('w')).toMatchObject({ owner: null, due: false });
});

test('a park, sent a message before the rerun: the workflow is due, and a claim gets it', async () => {
  await start('w');
  await sides.eye.flush([waiting('w', 0, 'recv', 'topic')]);
  await sides.a.flush([parking('w')]);
  await sides.eye.flush([sending('w', 'm')]);
  await again(parking('w'));
  expect(await row('w')).toMatchObject({ status: 'PENDING', due: true });
  expect(await sides.b.claim()).toMatchObject([{ workflowID: 'w' }]);
});

test('a park that a peer has claimed from by the time of the rerun takes nothing from it', async () => {
  await start('w');
  await sides.eye.flush([waiting('w', 0, 'recv', 'topic')]);
  await sides.a.flush([parking('w')]);
  await sides.eye.flush([sending('w', 'm')]);
  await sides.b.claim();
  expect((await again(parking('w'))).answers[0]).toMatchObject({ outcome: 'superseded' });
  expect(await row('w')).toMatchObject({ owner: PEER, fence: 2 });
});

test('all of it in one flush', async () => {
  await start('w');
  await sides.eye.flush([sending('w', 'm')]);
  const operations = [
    starting('new', { chosen: true }),
    checkpoint('w', 0, 'value'),
    settingEvent('w', 1, 'value'),
    sendingFrom('w', 2, 'new'),
    waiting('w', 3, 'recv', 'topic'),
    startingChild('w', 4, 'w-4'),
    sending('w', 'second'),
  ];
  const first = await sides.a.flush(operations);
  const second = await again(...operations);
  expect(second.answers.map(unlessWritten)).toEqual(first.answers);
  for (const [table, rows] of [
    ['step', 5],
    ['event', 1],
    ['message', 2],
  ] as const)
    expect(await count(table, 'w')).toBe(rows);
  expect(await count('message', 'new')).toBe(1);
});
