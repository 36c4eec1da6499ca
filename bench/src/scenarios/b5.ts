// B5: how long a queued workflow takes that finds the queue empty, from the call that enqueues it to its result.
import type { Scenario } from '../contract.ts';
import { measure } from '../measure.ts';
import { queuePeerOf } from '../peers/load.ts';
import { checkEnded } from './draining.ts';

export const b5: Scenario = {
  id: 'B5',
  title:
    'queued 1-step workflow, one at a time (DBOS and openworkflow poll every 1 s, pg-boss every 0.5 s, absurd every 10 ms)',
  unit: 'workflows/s',
  contenders: ['pawl', 'dbos', 'openworkflow', 'graphile-worker', 'pg-boss', 'absurd'],
  targets: [
    { against: null, figure: 'p50Ms', bound: { atMost: 5 } },
    { against: null, figure: 'p99Ms', bound: { atMost: 25 } },
  ],
  async turn(contender, turn) {
    const peer = await queuePeerOf(contender);
    const worker = await peer.work(turn.databaseUrl, { purpose: 'latency', observe: (body) => body() });
    try {
      const figures = await measure({ ...turn, concurrency: 1 }, async (seed) => {
        const value = await worker.count(seed);
        if (value !== seed) throw new Error(`A workflow returned ${value}, expected ${seed}.`);
      });
      await checkEnded(peer, turn.databaseUrl, figures['totalRuns'] ?? 0);
      return figures;
    } finally {
      await worker.close();
    }
  },
};
