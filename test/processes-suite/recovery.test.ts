// What becomes of the workflows of a process that died: on connections of its own, and behind a transaction pooler, where
// there are no locks and no hints, so that leases and ticks are all there is.
import {
  createDatabase,
  noPgBouncer,
  type PgBouncer,
  startPgBouncer,
  type TestDatabase,
} from '@pawl/test-support';
import type { PawlConfig } from '@pawl/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createWorkers, type Workers, within } from './workers.ts';

let database: TestDatabase;
let bouncer: PgBouncer | undefined;
let workers: Workers;

interface Way {
  pooler: boolean;
  config: PawlConfig;
  /** In milliseconds: what a restart, a takeover and a hand-over may take at best. */
  limits: { restart: number; takeover: number; handOver: number };
}

const LEASE = 1000;
const ways: [string, Way][] = [
  ['directly', { pooler: false, config: {}, limits: { restart: 1000, takeover: 1500, handOver: 300 } }],
  [
    'behind a transaction pooler',
    {
      pooler: true,
      config: { leaseSeconds: LEASE / 1000 },
      // A lease, the look that stands half a second later, and ticks on the way to both.
      limits: { restart: LEASE + 2000, takeover: LEASE + 2000, handOver: 1000 },
    },
  ],
];

describe.each(ways.filter(([, { pooler }]) => !pooler || noPgBouncer === undefined))('%s', (_, way) => {
  const { config, limits } = way;

  beforeEach(async () => {
    database = await createDatabase();
    bouncer = way.pooler ? await startPgBouncer() : undefined;
    workers = createWorkers(bouncer?.through(database.url) ?? database.url);
  });

  afterEach(async () => {
    await workers.end();
    await bouncer?.stop();
    await database.drop();
  });

  test('a restarted process goes on with what its predecessor left, soon after it is ready', async () => {
    await within(limits.restart, 4, 'resumed after it was ready:', async (attempt) => {
      const id = `left-${attempt}`;
      const first = await workers.start({ config });
      await first.call('start', 'steps', id, 8, 30);
      await workers.noted(id, 'step 3');
      await first.kill();
      const second = await workers.open({ config });
      const ready = await second.call('launch');
      expect(await second.call('result', id)).toBe(8);
      const resumed = workers.notes(id).find(({ pid }) => pid === second.pid);
      await second.kill();
      // Only the step that was running ran again.
      expect(workers.notes(id).length).toBeLessThanOrEqual(9);
      for (const n of [0, 1, 2]) expect(workers.notes(id, `step ${n}`)).toHaveLength(1);
      return (resumed?.at ?? Infinity) - ready;
    });
  });

  test('a living peer takes over from a process that was killed, and repeats no completed step', async () => {
    const peer = await workers.start({ config });
    await within(limits.takeover, 3, 'taken over after the kill:', async (attempt) => {
      const ids = Array.from({ length: 20 }, (_, i) => `orphan-${attempt}-${i}`);
      const doomed = await workers.start({ config });
      await Promise.all(ids.map((id) => doomed.call('start', 'receiver', id)));
      await Promise.all(ids.map((id) => workers.noted(id, 'before')));
      await doomed.call('start', 'steps', `busy-${attempt}`, 200, 20);
      await workers.noted(`busy-${attempt}`, 'step 2');
      const killed = Date.now();
      await doomed.kill();
      await Promise.all(ids.map((id) => peer.call('send', id, id)));
      for (const id of ids) expect(await peer.call('result', id)).toBe(id);
      for (const id of ids) expect(workers.notes(id).map(({ what }) => what)).toEqual(['before', 'after']);
      await expect
        .poll(() => workers.notes(`busy-${attempt}`).some(({ pid }) => pid === peer.pid), { timeout: 10_000 })
        .toBe(true);
      expect((await peer.call('status', ids[0] as string))?.recoveryAttempts).toBe(1);
      const taken = workers.notes(`busy-${attempt}`).find(({ pid }) => pid === peer.pid);
      return (taken?.at ?? Infinity) - killed;
    });
  });

  test('a process that stops hands over at once, and that counts as no recovery attempt', async () => {
    const peer = await workers.start({ config });
    await within(limits.handOver, 4, 'handed over after shutdown:', async (attempt) => {
      const id = `handed-${attempt}`;
      const leaving = await workers.start({ config });
      await leaving.call('start', 'steps', id, 30, 20);
      await workers.noted(id, 'step 2');
      await leaving.call('shutdown');
      const left = Date.now();
      expect(await peer.call('result', id)).toBe(30);
      expect(workers.notes(id)).toHaveLength(30);
      expect((await peer.call('status', id))?.recoveryAttempts).toBe(0);
      const taken = workers.notes(id).find(({ pid }) => pid === peer.pid);
      return (taken?.at ?? Infinity) - left;
    });
  });

  test('a workflow whose owner is dead is timed out by a peer that could not run it', async () => {
    const peer = await workers.start({ config, without: ['limited'] });
    const doomed = await workers.start({ config });
    await doomed.call('start', 'limited', 'late');
    await workers.noted('late', 'before');
    await doomed.kill();
    await expect(peer.call('result', 'late')).rejects.toThrow('WorkflowTimeoutError');
    const status = await peer.call('status', 'late');
    expect(status?.status).toBe('CANCELLED');
    expect((status?.completedAt ?? 0) - (status?.deadline ?? 0)).toBeLessThan(2000);
    expect(workers.notes('late')).toHaveLength(1);
  });
});
