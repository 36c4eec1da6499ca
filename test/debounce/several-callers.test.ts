// Debounced calls of several processes, and calls against those who take the pending run away: held at the critical
// point on two connections, both orders; and freely, against each other.
import { createDatabase } from '@pawl/test-support';
import { Pawl } from '@pawl/core';
import { quiet } from '@pawl/test-support/drivers';
import { expect, test } from 'vitest';
import { debounce, type DebounceCall } from '../../packages/core/src/store/debounce.ts';
import { cancel, forget } from '../../packages/core/src/store/lifecycle.ts';
import { dispatch } from '../../packages/core/src/store/queues.ts';
import { PEER, type Side, starting, twoConnections } from '../interleavings/two-connections.ts';

const sides = twoConnections();
const { interleave, row, count, start } = sides;

const as = (text: string) => text;
const calling =
  (input: string, more: Partial<DebounceCall> = {}) =>
  (side: Side) =>
    debounce(side.on, as, {
      start: { ...(starting(`run of ${input}`, { input }).start as DebounceCall['start']) },
      ...{ key: 'k', periodMs: 3_600_000, maxWaitMs: null, caller: null, again: false },
      ...more,
    });
const served = [{ name: 'job', version: '1', maxRecoveryAttempts: 10 }];
const dispatching = (side: Side) =>
  dispatch(side, {
    ...{ executor: PEER, limit: 100, served, anyVersion: false, after: '' },
    occupied: { queues: undefined, counts: new Map() },
  });
const due = () => sides.eye.on.query(`UPDATE pawl.workflow SET wake_at = now() WHERE status = 'DELAYED'`);
const inputs = async () =>
  (
    await sides.eye.on.query<{ status: string; input: string }>(
      'SELECT status, input FROM pawl.workflow ORDER BY created_at',
    )
  ).rows.map(({ status, input }) => `${status} ${input}`);

test('two first calls at once: one run', async () => {
  const [one, two] = await interleave(calling('a'), calling('b'));
  expect(two.workflowID).toBe(one.workflowID);
  expect(await inputs()).toEqual(['DELAYED b']);
});

test('a call that is rolled back was none', async () => {
  const [, two] = await interleave(calling('a'), calling('b'), 'rollback');
  expect(two.workflowID).toBe('run of b');
  expect(await inputs()).toEqual(['DELAYED b']);
});

test('a call to a run that is just being begun makes the next one', async () => {
  await calling('a')(sides.eye);
  await due();
  const [, two] = await interleave(dispatching, calling('b'));
  expect(two.workflowID).toBe('run of b');
  expect(await inputs()).toEqual(['PENDING a', 'DELAYED b']);
});

test('a run that a call has in hand is begun after it, with its input', async () => {
  await calling('a')(sides.eye);
  await due();
  await sides.a.begin();
  expect((await calling('b')(sides.a)).workflowID).toBe('run of a');
  // Nobody waits for the caller, who makes it due.
  expect(await dispatching(sides.b)).toMatchObject({ due: false, laterAt: undefined });
  await sides.a.commit();
  expect(await inputs()).toEqual(['PENDING b']);
});

test.each([
  ['cancelled', (side: Side) => cancel(side.on, ['run of a'], false), 'CANCELLED'],
  ['deleted', (side: Side) => forget(side.on, ['run of a']), undefined],
])(
  'a call to a run that is just being %s makes the next one; the other order takes both',
  async (_, take, left) => {
    await calling('a')(sides.eye);
    const [, two] = await interleave<unknown, { workflowID: string }>(take, calling('b'));
    expect(two.workflowID).toBe('run of b');
    expect((await row('run of a'))?.status).toBe(left);

    await sides.eye.on.query('DELETE FROM pawl.workflow');
    await calling('a')(sides.eye);
    await interleave<unknown, unknown>(calling('b'), take);
    expect((await row('run of a'))?.status).toBe(left);
    expect(await row('run of b')).toBeUndefined();
  },
);

test('a call of a workflow locks it and the run in the order of their ids', async () => {
  // 'a' < 'run of …' < 'z': a lock of both in that order waits for the call, or the call for it, and neither for ever.
  await start('a');
  await start('z');
  await calling('first')(sides.eye);
  for (const caller of ['a', 'z']) {
    const ids = [caller, 'run of first'].toSorted();
    await sides.a.begin();
    await sides.a.on.query('SELECT 1 FROM pawl.workflow WHERE id = $1 FOR NO KEY UPDATE', [ids[0]]);
    const called = calling('next', { caller })(sides.b);
    await expect.poll(() => sides.b.waits(), { interval: 2 }).toBe(true);
    await sides.a.on.query('SELECT 1 FROM pawl.workflow WHERE id = $1 FOR NO KEY UPDATE', [ids[1]]);
    await sides.a.commit();
    expect((await called).workflowID).toBe('run of first');
  }
});

test('a call that comes again finds what it did, be it begun; one that was overtaken is a call of now', async () => {
  const again = { again: true };
  await calling('a')(sides.eye);
  await calling('b')(sides.eye);
  await due();
  await dispatching(sides.eye);
  // It made the run; it was its last input.
  expect((await calling('a', again)(sides.eye)).workflowID).toBe('run of a');
  expect((await calling('b', again)(sides.eye)).workflowID).toBe('run of a');
  expect(await inputs()).toEqual(['PENDING b']);
  await calling('c')(sides.eye);
  expect((await calling('b', again)(sides.eye)).workflowID).toBe('run of a');
  expect(await inputs()).toEqual(['PENDING b', 'DELAYED c']);
  expect((await calling('new', again)(sides.eye)).workflowID).toBe('run of c');
  expect(await count('workflow', 'run of new')).toBe(0);
});

test('who takes nothing yet hears when the next delay is over', async () => {
  const { dueMs } = await calling('a', { periodMs: 60_000 })(sides.eye);
  expect(dueMs).toBe(60_000);
  const { laterAt } = await dispatching(sides.b);
  expect(Math.abs((laterAt as number) - Date.now() - 60_000)).toBeLessThan(10_000);
});

test('a hundred calls of two processes at once: one run, and its input is the last of either', async () => {
  const { url, drop } = await createDatabase();
  const ran: string[] = [];
  const pawls = await Promise.all(
    ['a', 'b'].map(async () => {
      const pawl = new Pawl({ database: url, logger: quiet });
      pawl.registerWorkflow(
        async (input: string) => {
          ran.push(input);
          return input;
        },
        { name: 'target' },
      );
      return pawl.launch();
    }),
  );
  try {
    const calls = Array.from({ length: 100 }, (_, n) => {
      const options = { key: 'k', period: '1h', maxWait: '1d' } as const;
      return (pawls[n % 2] as Pawl).debounce('target', options)(`${n % 2}: ${n}`);
    });
    const handles = await Promise.all(calls);
    expect(new Set(handles.map(({ workflowID }) => workflowID)).size).toBe(1);
    expect(ran).toEqual([]);
    await pawls[0]?.setWorkflowDelay(handles[0]?.workflowID as string, 0);
    expect(['0: 98', '1: 99']).toContain(await handles[0]?.getResult());
    expect(ran).toHaveLength(1);
    expect((await pawls[0]?.listWorkflows())?.workflows).toHaveLength(1);
  } finally {
    await Promise.all(pawls.map((pawl) => pawl.shutdown({ graceSeconds: 0 })));
    await drop();
  }
});
