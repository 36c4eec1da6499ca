// What a running workflow writes, against those who take it away: claim, cancel, resume, deletion. Both orders.
import { afterEach, describe, expect, test } from 'vitest';
import { declareGone, disown, registerExecutor, release } from '../../packages/core/src/store/executors.ts';
import { cancel, forget, fork, resume } from '../../packages/core/src/store/lifecycle.ts';
import {
  checkpoint,
  ending,
  OWNER,
  PEER,
  sending,
  sendingFrom,
  type Side,
  starting,
  twoConnections,
  waiting,
} from './two-connections.ts';

const sides = twoConnections();
const { interleave, start, row, count } = sides;

const cancelling = (id: string) => (side: Side) => cancel(side.on, [id], false);
const resuming = (id: string) => (side: Side) => resume(side.on, [id]);
const forgetting = (id: string) => (side: Side) => forget(side.on, [id]);
const writing = (id: string, output: string) => (side: Side) => side.flush([checkpoint(id, 0, output)]);
const finishing = (id: string) => (side: Side) => side.flush([ending(id, 'end')]);

/** The journal as the claimer reads it. */
async function claimed(side: Side = sides.b): Promise<(string | null)[] | undefined> {
  const [workflow] = await side.claim();
  return workflow?.journal.map(({ output }) => output);
}

describe('a checkpoint and a claim', () => {
  test('written first: the claimer passes the row over while it is uncommitted, and reads it then', async () => {
    const id = await start('w');
    await release(sides.eye, OWNER, true);
    await sides.a.begin();
    await writing(id, 'paid')(sides.a);
    expect(await sides.b.claim()).toEqual([]);
    await sides.a.commit();
    expect(await claimed()).toEqual(['paid']);
  });

  test('claimed first: the old fence is superseded, and nothing of it is there', async () => {
    const id = await start('w');
    await release(sides.eye, OWNER, true);
    const [journal, { answers }] = await interleave((side) => claimed(side), writing(id, 'late'));
    expect(journal).toEqual([]);
    expect(answers[0]).toMatchObject({ outcome: 'superseded' });
    expect(await count('step', id)).toBe(0);
  });

  test('a claim that is rolled back took nothing away', async () => {
    const id = await start('w');
    await release(sides.eye, OWNER, true);
    const [, { answers }] = await interleave((side) => claimed(side), writing(id, 'paid'), 'rollback');
    expect(answers).toEqual([undefined]);
    expect(await claimed()).toEqual(['paid']);
  });

  test('claimed first: the end of the old fence is superseded', async () => {
    const id = await start('w');
    await release(sides.eye, OWNER, true);
    const [, { answers, fired }] = await interleave((side) => side.claim(), finishing(id));
    expect(answers[0]).toMatchObject({ outcome: 'superseded' });
    expect(fired).toBe(false);
    expect(await row(id)).toMatchObject({ status: 'PENDING', fence: 2 });
  });

  test('at once, a hundred times: acknowledged means read by the claimer', async () => {
    const ids = Array.from({ length: 100 }, (_, i) => `w${i}`);
    await sides.eye.flush(ids.map((id) => starting(id)));
    await release(sides.eye, OWNER, true);
    const read = new Map<string, (string | null)[]>();
    const acknowledged = new Set<string>();
    const claimAll = async () => {
      while (read.size < ids.length) {
        for (const { workflowID, journal } of await sides.b.claim()) {
          read.set(
            workflowID,
            journal.map(({ output }) => output),
          );
        }
      }
    };
    const writeAll = async () => {
      for (const id of ids) {
        const { answers } = await writing(id, 'paid')(sides.a);
        if (answers[0] === undefined) acknowledged.add(id);
        else expect(answers[0].outcome).toBe('superseded');
      }
    };
    await Promise.all([writeAll(), claimAll()]);
    for (const id of ids) expect(read.get(id)).toEqual(acknowledged.has(id) ? ['paid'] : []);
  });
});

describe('cancel', () => {
  test('after an end: there is nothing to cancel', async () => {
    const id = await start('w');
    const [{ answers }, cancelled] = await interleave(finishing(id), cancelling(id));
    expect(answers).toEqual([undefined]);
    expect(cancelled).toEqual([]);
    expect(await row(id)).toMatchObject({ status: 'SUCCESS' });
  });

  test('before an end: the workflow stays cancelled', async () => {
    const id = await start('w');
    const [cancelled, { answers }] = await interleave(cancelling(id), finishing(id));
    expect(cancelled).toEqual([{ workflowID: id, executor: OWNER, fence: 1 }]);
    expect(answers[0]).toMatchObject({ outcome: 'cancelled' });
    expect(await row(id)).toMatchObject({ status: 'CANCELLED' });
  });

  test('before a checkpoint: it is recorded all the same, and the run that is resumed reads it', async () => {
    const id = await start('w');
    const [, { answers }] = await interleave(cancelling(id), writing(id, 'charged'));
    expect(answers[0]).toMatchObject({ outcome: 'kept' });
    await resume(sides.eye.on, [id]);
    expect(await claimed()).toEqual(['charged']);
  });

  test('after a checkpoint: both hold', async () => {
    const id = await start('w');
    const [{ answers }] = await interleave(writing(id, 'charged'), cancelling(id));
    expect(answers).toEqual([undefined]);
    expect(await row(id)).toMatchObject({ status: 'CANCELLED' });
    await resume(sides.eye.on, [id]);
    expect(await claimed()).toEqual(['charged']);
  });

  test('before an attempt begins: it does not begin', async () => {
    const id = await start('w');
    const attempt = checkpoint(id, 0, 'x');
    Object.assign(attempt.fenced as object, { seq: null, keep: false });
    const [, { answers }] = await interleave(cancelling(id), (side) => side.flush([attempt]));
    expect(answers[0]).toMatchObject({ outcome: 'cancelled' });
    expect(await count('step', id)).toBe(0);
  });

  test('of a parent, while a child of it is being started, reaches the child', async () => {
    const id = await start('w');
    const child = { ...starting('child'), ...checkpoint(id, 0, 'x') };
    Object.assign(child.start as object, { extra: JSON.stringify({ parent: id }) });
    const [, cancelled] = await interleave(
      (side) => side.flush([child]),
      (side) => cancel(side.on, [id], true),
    );
    expect(cancelled.map(({ workflowID }) => workflowID).sort()).toEqual(['child', id]);
  });
});

test('cancel locks a tree in one order, from its first row on: a child that writes to its parent is no deadlock', async () => {
  const { a, b, eye } = sides;
  await start('parent');
  const child = starting('child', { chosen: true });
  Object.assign(child.start as object, { extra: JSON.stringify({ parent: 'parent' }) });
  await eye.flush([child]);
  // Somebody holds the parent; the cancellation comes first, and the child's message after it.
  await eye.begin();
  await eye.on.query(`SELECT FROM pawl.workflow WHERE id = 'parent' FOR UPDATE`);
  const cancelled = cancel(a.on, ['parent'], true);
  await expect.poll(() => a.waits(), { interval: 2 }).toBe(true);
  const written = b.flush([sendingFrom('child', 0, 'parent')]);
  await expect.poll(() => b.waits(), { interval: 2 }).toBe(true);
  await eye.commit();
  const [ended, { answers }] = await Promise.all([cancelled, written]);
  expect(ended.map(({ workflowID }) => workflowID).sort()).toEqual(['child', 'parent']);
  expect(answers[0]).toMatchObject({ outcome: 'cancelled' });
});

describe('resume', () => {
  test('before a late write of the run that was cancelled: that is superseded', async () => {
    const id = await start('w');
    await cancelling(id)(sides.eye);
    const [resumed, { answers }] = await interleave(resuming(id), writing(id, 'late'));
    expect(resumed).toMatchObject([{ workflowID: id, changed: true }]);
    expect(answers[0]).toMatchObject({ outcome: 'superseded' });
    expect(await claimed()).toEqual([]);
  });

  test('after a late write of the run that was cancelled: the next run reads it', async () => {
    const id = await start('w');
    await cancelling(id)(sides.eye);
    const [{ answers }, resumed] = await interleave(writing(id, 'charged'), resuming(id));
    expect(answers[0]).toMatchObject({ outcome: 'kept' });
    expect(resumed).toMatchObject([{ workflowID: id, changed: true }]);
    expect(await claimed()).toEqual(['charged']);
  });

  test('after the end that it waited for: nothing is resumed', async () => {
    const id = await start('w');
    const [, resumed] = await interleave(finishing(id), resuming(id));
    expect(resumed).toMatchObject([{ workflowID: id, changed: false }]);
    expect(await row(id)).toMatchObject({ status: 'SUCCESS' });
  });
});

describe('deletion', () => {
  test('before a write: the run is told, and leaves nothing behind', async () => {
    const id = await start('w');
    const [, { answers }] = await interleave(forgetting(id), writing(id, 'late'));
    expect(answers[0]).toMatchObject({ outcome: 'deleted' });
    expect(await count('step', id)).toBe(0);
  });

  test('after a write: the row goes with it', async () => {
    const id = await start('w');
    const [{ answers }, gone] = await interleave(writing(id, 'paid'), forgetting(id));
    expect(answers).toEqual([undefined]);
    expect(gone).toMatchObject([{ workflowID: id }]);
    expect(await count('step', id)).toBe(0);
  });

  test('and a new start of the same id: a late write of the old run is refused', async () => {
    const id = await start('w');
    await forgetting(id)(sides.eye);
    const again = starting(id, { fence: 77, nonce: 'again', chosen: true });
    await sides.eye.flush([again]);
    for (const late of [checkpoint(id, 0, 'late'), ending(id, 'late')]) {
      const { answers } = await sides.a.flush([late]);
      expect(answers[0]).toMatchObject({ outcome: 'superseded' });
    }
    expect(await count('step', id)).toBe(0);
    expect(await row(id)).toMatchObject({ status: 'PENDING', fence: 77 });
    expect((await sides.a.flush([checkpoint(id, 0, 'mine', 77)])).answers).toEqual([undefined]);
  });

  test('before a start of the same id: that waits, and starts anew', async () => {
    const id = await start('w');
    const again = starting(id, { fence: 77, nonce: 'again', chosen: true });
    const [, { answers }] = await interleave(forgetting(id), (side) => side.flush([again]));
    expect(answers).toEqual([undefined]);
    expect(await row(id)).toMatchObject({ status: 'PENDING', fence: 77 });
  });
});

test('what a process does not know of and hands back stays with the peer that has claimed it meanwhile', async () => {
  const id = await start('w');
  const takingOver = async (side: Side) => {
    await release(side, OWNER, true);
    return side.claim();
  };
  const soon = Date.now() + 60_000;
  const [taken, handedBack] = await interleave(takingOver, (side) => disown(side, OWNER, [], soon));
  expect(taken).toMatchObject([{ workflowID: id, fence: 2 }]);
  expect(handedBack).toBe(0);
  expect(await row(id)).toMatchObject({ owner: PEER, fence: 2 });
});

test('a fork while the original receives a message has that message as well, received or waiting', async () => {
  const id = await start('w');
  await sides.eye.flush([sending(id, 'm')]);
  const options = { workflowID: id, fromStep: 1, newWorkflowID: 'f', nonce: 'f', version: '1' };
  const [, outcome] = await interleave(
    (side) => side.flush([waiting(id, 0, 'recv', 'topic')]),
    (side) => fork(side.on, options),
  );
  expect(outcome).toBe('forked');
  expect((await count('step', 'f')) + (await count('message', 'f'))).toBe(1);
});

describe('a claim by an executor that was declared gone and does not know it yet', () => {
  const launched = () =>
    registerExecutor(sides.eye.on, PEER, false, {
      ...{ executorID: 'peer', applicationVersion: null, host: 'here', pid: 1 },
      ...{ leaseMs: 0, served: [], anyVersion: false },
    });
  afterEach(() => sides.eye.on.query('DELETE FROM pawl.executor'));

  const judge = (side: Side) => declareGone(side, PEER, 0, 1, false);

  test('takes nothing', async () => {
    await launched();
    const id = await start('w');
    await release(sides.eye, OWNER, true);
    expect(await judge(sides.eye)).toBe(true);
    expect(await sides.b.claim()).toEqual([]);
    expect(await row(id)).toMatchObject({ owner: null, due: true });
  });

  test('takes nothing while it is being judged', async () => {
    await launched();
    await start('w');
    await release(sides.eye, OWNER, true);
    await sides.a.begin();
    await judge(sides.a);
    expect(await sides.b.claim()).toEqual([]);
    await sides.a.rollback();
    expect(await sides.b.claim()).toMatchObject([{ workflowID: 'w' }]);
  });

  test('that has claimed first has what it claimed taken over, once', async () => {
    await launched();
    await start('w');
    await release(sides.eye, OWNER, false);
    const [, gone] = await interleave((side) => side.claim(), judge);
    expect(gone).toBe(true);
    expect(await release(sides.eye, PEER, true)).toBe(1);
    expect(await release(sides.eye, PEER, true)).toBe(0);
  });
});
