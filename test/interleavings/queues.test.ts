// Queues: what takes workflows out, beside itself and beside what changes, cancels or adds them.
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cancel, resume, watch } from '../../packages/core/src/store/lifecycle.ts';
import { disown } from '../../packages/core/src/store/executors.ts';
import type { Answer, Operation, QueuedPart } from '../../packages/core/src/store/operations.ts';
import {
  defineQueues,
  dispatch,
  type QueueDefinition,
  setDelay,
  setPaused,
  setPriority,
} from '../../packages/core/src/store/queues.ts';
import { ending, OWNER, PEER, sending, type Side, starting, twoConnections } from './two-connections.ts';

const sides = twoConnections();

// The clock is looked at between lock and look. A session waits there, once it has looked so often before.
const GATE = 78;
beforeAll(async () => {
  await sides.eye.on
    .query(`CREATE OR REPLACE FUNCTION pawl.clock() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
      v_now timestamptz := clock_timestamp();
    BEGIN
      IF current_setting('test.looks', true) <> '' THEN
        PERFORM set_config('test.looks', (current_setting('test.looks')::integer - 1)::text, false);
        IF current_setting('test.looks') = '0' THEN
          PERFORM pg_advisory_lock_shared(${GATE}), pg_advisory_unlock_shared(${GATE});
        END IF;
      END IF;
      RETURN v_now;
    END $$`);
});

beforeEach(async () => {
  await sides.eye.on.query('DELETE FROM pawl.queue');
  await sides.eye.on.query('DELETE FROM pawl.queue_start');
  for (const side of [sides.a, sides.b]) await side.on.query(`SET test.looks = ''`);
});

async function define(on: Side, name: string, options: Partial<QueueDefinition> = {}): Promise<void> {
  const none = { concurrency: null, workerConcurrency: null, rateLimit: null, partitionConcurrency: null };
  await defineQueues(on.on, [{ ...none, name, priorityEnabled: false, partitioned: false, ...options }]);
}

function queued(id: string, part: Partial<QueuedPart> = {}): Operation {
  const { start } = starting(id, { chosen: true });
  if (start === undefined) throw new Error('not a start');
  const rest = { priority: null, partitionKey: null, deduplicationID: null, delayMs: null };
  return { start: { ...start, queued: { queue: 'q', ...rest, ...part } } };
}

/** The ids that it got. */
async function take(side: Side, executor = OWNER, occupied: [string, number][] = []): Promise<string[]> {
  const { claimed } = await dispatch(side, {
    executor,
    limit: 100,
    served: [{ name: 'job', version: '1', maxRecoveryAttempts: 10 }],
    anyVersion: false,
    occupied: { queues: undefined, counts: new Map(occupied) },
    after: '',
  });
  return claimed.map(({ workflowID }) => workflowID);
}

const outcomes = (answers: (Answer | undefined)[]) =>
  Array.from(answers, (answer) => answer?.outcome ?? 'written');
const status = async (id: string) => (await sides.row(id))?.status;

describe('two that take at the same moment', () => {
  test.each<[string, Partial<QueueDefinition>, Partial<QueuedPart>, string[]]>([
    ['a global limit', { concurrency: 2 }, {}, []],
    ['a rate limit', { rateLimit: { limit: 2, periodMs: 60_000 } }, {}, []],
    [
      'a limit per partition',
      { partitioned: true, partitionConcurrency: 2 },
      { partitionKey: 'one' },
      ['other-1', 'other-2'],
    ],
  ])('keep %s together', async (_, options, part, rest) => {
    await define(sides.eye, 'q', options);
    await sides.eye.flush(['a', 'b', 'c', 'd'].map((id) => queued(id, part)));
    const [first, second] = await sides.interleave(take, async (side) => {
      if (rest.length > 0) await sides.eye.flush(rest.map((id) => queued(id, { partitionKey: 'two' })));
      return take(side, PEER);
    });
    expect(first).toEqual(['a', 'b']);
    expect(second).toEqual(rest);
  });

  test('a slot is free for the second if the first is rolled back', async () => {
    await define(sides.eye, 'q', { concurrency: 1 });
    await sides.eye.flush([queued('a'), queued('b')]);
    const [, second] = await sides.interleave(take, (side) => take(side, PEER), 'rollback');
    expect(second).toEqual(['a']);
  });

  test('do not wait for each other where there is no limit', async () => {
    await define(sides.eye, 'q');
    await sides.eye.flush([queued('a')]);
    await sides.a.begin();
    expect(await take(sides.a)).toEqual(['a']);
    await sides.eye.flush([queued('b')]);
    expect(await take(sides.b, PEER)).toEqual(['b']);
    await sides.a.commit();
  });
});

describe('taking beside', () => {
  const changes: [string, (side: Side) => Promise<unknown>, string | undefined][] = [
    ['a cancellation', (side) => cancel(side.on, ['a'], false), 'CANCELLED'],
    ['a new priority', (side) => setPriority(side.on, 'a', 5), 'PENDING'],
    ['a delay', (side) => setDelay(side.on, 'a', 60_000), 'PENDING'],
    ['a resume', (side) => resume(side.on, ['a']), 'PENDING'],
  ];
  beforeEach(async () => {
    await define(sides.eye, 'q', { concurrency: 1 });
    await sides.eye.flush([queued('a'), queued('b')]);
  });

  test.each(changes)('%s that is under way passes that one by', async (_, change) => {
    await sides.a.begin();
    await change(sides.a);
    expect(await take(sides.b, PEER)).toEqual(['b']);
    await sides.a.commit();
    expect(await status('a')).not.toBe('RESERVED');
  });

  test.each(changes)('%s that comes second finds it begun', async (_, change, after) => {
    const [taken] = await sides.interleave(take, change);
    expect(taken).toEqual(['a']);
    expect(await sides.row('a')).toMatchObject({ status: after, owner: OWNER, fence: 2 });
  });

  test('a pause: nothing is begun after it', async () => {
    await sides.interleave(
      (side) => setPaused(side.on, 'q', true),
      async (side) => expect(await take(side, PEER)).toEqual([]),
    );
    expect(await status('a')).toBe('ENQUEUED');
  });

  test('a new limit: the second look counts by the new one', async () => {
    await define(sides.eye, 'q', { concurrency: 2 });
    await sides.eye.flush([queued('c'), queued('d')]);
    expect(await take(sides.eye)).toEqual(['a', 'b']);
    const [, taken] = await sides.interleave(
      (side) => define(side, 'q', { concurrency: 3 }),
      (side) => take(side, PEER),
    );
    expect(taken).toEqual(['c']);
  });
});

describe('a first limit between lock and look', () => {
  test('is not passed by two who both hold no lock', async () => {
    await define(sides.eye, 'q');
    await sides.eye.flush(['a', 'b', 'c', 'd'].map((id) => queued(id)));
    await sides.eye.on.query(`SELECT pg_advisory_lock(${GATE})`);
    // Two looks for what is delayed, and the one behind the locks.
    for (const side of [sides.a, sides.b]) {
      await side.on.query(`SET test.looks = '3'`);
      await side.begin();
    }
    const both = Promise.all([take(sides.a), take(sides.b, PEER)]);
    await expect.poll(async () => (await sides.a.waits()) && (await sides.b.waits())).toBe(true);
    await define(sides.eye, 'q', { concurrency: 1 });
    await sides.eye.on.query(`SELECT pg_advisory_unlock(${GATE})`);
    expect((await both).flat().length).toBeLessThanOrEqual(1);
    for (const side of [sides.a, sides.b]) await side.commit();
    // Both were told to ask again.
    expect(await take(sides.a)).toEqual(['a']);
  });
});

test('what is begun in the place of another began after that one ended, by their times', async () => {
  await define(sides.eye, 'q', { concurrency: 1 });
  await sides.eye.flush([queued('a'), queued('b')]);
  await take(sides.a);
  await sides.eye.on.query(`SELECT pg_advisory_lock(${GATE})`);
  await sides.b.on.query(`SET test.looks = '3'`);
  const second = take(sides.b, PEER);
  await expect.poll(() => sides.b.waits(), { interval: 2 }).toBe(true);
  await sides.a.flush([ending('a', 'end', 2)]);
  await sides.eye.on.query(`SELECT pg_advisory_unlock(${GATE})`);
  expect(await second).toEqual(['b']);
  const { rows } = await sides.eye.on.query<{ after: boolean }>(
    `SELECT b.started_at >= a.completed_at AS after FROM pawl.workflow a, pawl.workflow b WHERE a.id = 'a' AND b.id = 'b'`,
  );
  expect(rows).toEqual([{ after: true }]);
});

test('a queue gets priorities while what is promoted into it waits for its row', async () => {
  await define(sides.eye, 'q', { concurrency: 5 });
  await sides.eye.flush([queued('a', { priority: 1, delayMs: 1 }), queued('b', { priority: 1 })]);
  await expect.poll(async () => (await sides.row('a'))?.due).toBe(true);
  await sides.eye.on.query(`SELECT pg_advisory_lock(${GATE})`);
  // Between the promotion and the queue.
  await sides.b.on.query(`SET test.looks = '2'`);
  const taken = take(sides.b, PEER);
  await expect.poll(() => sides.b.waits(), { interval: 2 }).toBe(true);
  const defined = define(sides.a, 'q', { concurrency: 5, priorityEnabled: true });
  await expect.poll(() => sides.a.waits(), { interval: 2 }).toBe(true);
  await sides.eye.on.query(`SELECT pg_advisory_unlock(${GATE})`);
  const [ids] = await Promise.all([taken, defined]);
  expect(ids.toSorted()).toEqual(['a', 'b']);
});

test('a start that its queue refuses leaves the placeholder of its id', async () => {
  await define(sides.eye, 'q');
  await sides.eye.flush([sending('a', 'm-a', 'topic', true), sending('b', 'm-b', 'topic', true)]);
  const both = ['a', 'b'].map((id) => queued(id, { deduplicationID: 'one' }));
  expect(outcomes((await sides.eye.flush(both)).answers)).toEqual(['written', 'duplicate']);
  expect(await status('b')).toBe('RESERVED');
});

describe('a deduplication id', () => {
  const dedup = { deduplicationID: 'one' };
  beforeEach(() => define(sides.eye, 'q'));

  test.each([
    ['commit', 'written'],
    ['rollback', 'duplicate'],
  ] as const)('whose holder is ending waits for its %s', async (end, outcome) => {
    await sides.eye.flush([queued('holder', dedup)]);
    await take(sides.eye);
    const [, second] = await sides.interleave(
      (side) => side.flush([ending('holder', 'end', 2)]),
      (side) => side.flush([queued('next', dedup)]),
      end,
    );
    expect(outcomes(second.answers)).toEqual([outcome]);
    expect(await status('next')).toBe(outcome === 'written' ? 'ENQUEUED' : undefined);
  });

  test('and another, asked for by two in opposite order: one gets both, and nobody waits for ever', async () => {
    const pair = (side: string, order: string[]) =>
      order.map((one) => queued(`${side}-${one}`, { deduplicationID: one }));
    const [first, second] = await sides.interleave(
      (side) => side.flush(pair('a', ['x', 'y'])),
      (side) => side.flush(pair('b', ['y', 'x'])),
    );
    expect(outcomes(first.answers)).toEqual(['written', 'written']);
    expect(outcomes(second.answers)).toEqual(['duplicate', 'duplicate']);
  });

  test('that the same flush asks for twice goes to the first', async () => {
    const { answers } = await sides.a.flush([queued('z', dedup), queued('a', dedup), queued('b')]);
    expect(outcomes(answers)).toEqual(['written', 'duplicate', 'written']);
  });

  test('of a start that comes again, its answer being lost, is its own, also once it has ended', async () => {
    await sides.a.flush([queued('w', dedup)]);
    const again = () => sides.a.flush([queued('w', dedup)], OWNER, true);
    expect(outcomes((await again()).answers)).toEqual(['written']);
    await take(sides.eye);
    await sides.eye.flush([ending('w', 'end', 2)]);
    await sides.eye.flush([queued('other', dedup)]);
    expect(outcomes((await again()).answers)).toEqual(['written']);
    expect(await sides.row('w')).toMatchObject({ status: 'SUCCESS', fence: 2 });
  });
});

describe('a placeholder', () => {
  beforeEach(() => define(sides.eye, 'q'));
  const kept = async () => ({ messages: await sides.count('message', 'w'), status: await status('w') });

  test('with a message that is under way gives way, and the message stays', async () => {
    await sides.eye.flush([sending('w', 'first', 'topic', true)]);
    const [, { answers }] = await sides.interleave(
      (side) => side.flush([sending('w', 'second', 'topic', true)]),
      (side) => side.flush([queued('w')]),
    );
    expect(outcomes(answers)).toEqual(['written']);
    expect(await kept()).toEqual({ messages: 2, status: 'ENQUEUED' });
  });

  test('that is giving way does not swallow the message that waits for it', async () => {
    await sides.eye.flush([sending('w', 'first', 'topic', true)]);
    await sides.interleave(
      (side) => side.flush([queued('w')]),
      (side) => side.flush([sending('w', 'second', 'topic', true)]),
    );
    expect(await kept()).toEqual({ messages: 2, status: 'ENQUEUED' });
  });

  test('that a message is just making gives way', async () => {
    await sides.interleave(
      (side) => side.flush([sending('w', 'first', 'topic', true)]),
      (side) => side.flush([queued('w')]),
    );
    expect(await kept()).toEqual({ messages: 1, status: 'ENQUEUED' });
  });

  test.each(['before', 'meanwhile'])(
    'for which somebody waits %s: that one is told of the end',
    async (when) => {
      const look = (side: Side) =>
        watch(side, { executor: 3, register: true, results: ['w'], events: [], followed: [] });
      await sides.eye.flush([sending('w', 'first', 'topic', true)]);
      if (when === 'before') {
        await look(sides.eye);
        await sides.eye.flush([queued('w')]);
      } else await sides.interleave((side) => side.flush([queued('w')]), look);
      expect(await take(sides.eye)).toEqual(['w']);
      expect((await sides.eye.flush([ending('w', 'end', 2)])).fired).toBe(true);
    },
  );

  test('of two starts is the first one’s, also where both are queued', async () => {
    await sides.eye.flush([sending('w', 'first', 'topic', true)]);
    const other = queued('w');
    if (other.start !== undefined) other.start.nonce = 'another';
    const [, { answers }] = await sides.interleave(
      (side) => side.flush([queued('w')]),
      (side) => side.flush([other]),
    );
    expect(outcomes(answers)).toEqual(['exists']);
    expect(await kept()).toEqual({ messages: 1, status: 'ENQUEUED' });
  });

  test('stays if the start is refused', async () => {
    await sides.eye.flush([
      sending('w', 'first', 'topic', true),
      queued('holder', { deduplicationID: 'one' }),
    ]);
    const { answers } = await sides.a.flush([queued('w', { deduplicationID: 'one' })]);
    expect(outcomes(answers)).toEqual(['duplicate']);
    expect(await kept()).toEqual({ messages: 1, status: 'RESERVED' });
  });
});

test('what was taken by a call whose answer is lost goes to another, and holds its slot all along', async () => {
  await define(sides.eye, 'q', { concurrency: 2, workerConcurrency: 2 });
  await sides.eye.flush(['a', 'b', 'c'].map((id) => queued(id)));
  await take(sides.a);
  expect(await take(sides.b, PEER)).toEqual([]);
  const { rows } = await sides.eye.on.query<{ now: number }>(
    `SELECT pawl.epoch_ms(pawl.clock() + interval '1 second') AS now`,
  );
  expect(await disown(sides.a, OWNER, [], rows[0]?.now as number)).toBe(2);
  expect(await take(sides.b, PEER)).toEqual([]);
  expect((await sides.b.claim()).map(({ workflowID }) => workflowID).toSorted()).toEqual(['a', 'b']);
  expect(await take(sides.a)).toEqual([]);
  await sides.eye.flush([ending('a', 'end', 3)]);
  expect(await take(sides.a)).toEqual(['c']);
});

test('what was begun of a rate limit takes few rows, however often one was begun', async () => {
  await define(sides.eye, 'q', { rateLimit: { limit: 200, periodMs: 3_600_000 } });
  for (let i = 0; i < 40; i++) {
    await sides.eye.flush([queued(`w-${i}`)]);
    expect(await take(sides.a)).toHaveLength(1);
  }
  const { rows } = await sides.eye.on.query<{ rows: number; n: number }>(
    'SELECT count(*)::integer AS rows, sum(count)::integer AS n FROM pawl.queue_start',
  );
  expect(rows[0]?.n).toBe(40);
  // One for each 3.6 s that this took.
  expect(rows[0]?.rows).toBeLessThan(20);
});

test('thousands whose delay is over come out at once, a batch a call', async () => {
  await define(sides.eye, 'q');
  const delayed = Array.from({ length: 600 }, (_, i) => queued(`d-${i}`, { queue: null, delayMs: 1 }));
  await sides.eye.flush(delayed);
  await sides.eye.on.query(`UPDATE pawl.workflow SET wake_at = now() - interval '1 second'`);
  const call = () =>
    dispatch(sides.a, {
      executor: OWNER,
      limit: 100,
      served: [{ name: 'job', version: '1', maxRecoveryAttempts: 10 }],
      anyVersion: false,
      occupied: { queues: undefined, counts: new Map() },
      after: '',
    });
  expect(await call()).toMatchObject({ due: true, again: true });
  expect(await call()).toMatchObject({ due: true, again: false });
});
