// Sweeps what is over, batch by batch, when a tick says that a pass is due. Takes as long between two batches as a batch
// took, so that a sweep never has more than half of a connection. Never holds anything from one batch to the next.

import { setTimeout } from 'node:timers/promises';
import type { Database } from '../store/database.ts';
import { type Retention, type Swept, sweepWaiters, sweepWorkflows } from '../store/retention.ts';
import type { Emitter } from '../telemetry/events.ts';

export interface Sweeper {
  /** What a tick reported. */
  due(tasks: readonly string[]): void;
  stop(): Promise<void>;
}

const HOUR_MS = 3_600_000;
const LEAST_PAUSE_MS = 1000;
/** A caller that waits longer than this hears of what it waits for by a tick, instead of at once. */
const WAITER_AGE_MS = HOUR_MS;

export function createSweeper(
  database: Database,
  retention: Retention | undefined,
  events: Emitter,
): Sweeper {
  let running: Promise<void> | undefined;
  const stopping = new AbortController();
  /** A pass now and then: often enough that nothing is kept for much longer than it was said. */
  const pauseMs =
    retention === undefined
      ? HOUR_MS
      : Math.min(HOUR_MS, Math.max(LEAST_PAUSE_MS, Math.min(retention.completedMs, retention.failedMs) / 10));

  const tasks: Record<string, () => Promise<Swept>> = {
    waiter: () => sweepWaiters(database, WAITER_AGE_MS, HOUR_MS),
    ...(retention && { workflow: () => sweepWorkflows(database, retention, pauseMs) }),
  };

  const pass = async (task: string, batch: () => Promise<Swept>): Promise<void> => {
    let total = 0;
    for (;;) {
      const begun = performance.now();
      const { deleted, more } = await batch();
      total += deleted;
      if (!more || stopping.signal.aborted) break;
      await setTimeout(performance.now() - begun, undefined, { signal: stopping.signal }).catch(() => {});
    }
    if (total > 0)
      events.emit('remark', {
        level: 'debug',
        text: 'Swept what is over',
        details: { task, deleted: total },
      });
  };

  return {
    due: (names) => {
      if (running !== undefined || stopping.signal.aborted) return;
      const mine = names.flatMap((name) => {
        const batch = tasks[name];
        return batch === undefined ? [] : [{ name, batch }];
      });
      if (mine.length === 0) return;
      running = (async () => {
        for (const { name, batch } of mine) await pass(name, batch);
      })()
        .catch((error: unknown) =>
          events.emit('remark', { level: 'warn', text: 'A sweep failed; the next tick tries again', error }),
        )
        .finally(() => {
          running = undefined;
        });
    },
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}
