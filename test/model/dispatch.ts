// The queue of the model: one workflow at a time, over all processes, whatever happens to them.
import { dispatch, type Dispatched, setDelay } from '../../packages/core/src/store/queues.ts';
import type { QueuedPart } from '../../packages/core/src/store/operations.ts';
import type { Random } from '../determinism/random.ts';
import type { Connections } from './connections.ts';
import { violated } from './oracle.ts';
import type { Process } from './process.ts';
import type { Task } from './tasks.ts';
import { NAME, SHORT_MS, VERSION } from './world.ts';

const QUEUE = 'q';

export const DEFINE_QUEUE = `INSERT INTO pawl.queue (name, concurrency) VALUES ('${QUEUE}', 1)`;

export const queuedPart = (random: Random): QueuedPart => ({
  queue: random.chance(85) ? QUEUE : null,
  priority: null,
  partitionKey: null,
  deduplicationID: null,
  delayMs: random.chance(25) ? SHORT_MS : null,
});

export function dispatchTask(process: Process, limit: number): Task {
  const { number, shared } = process;
  process.claiming++;
  process.queued = false;
  return {
    by: process,
    control: true,
    label: 'dispatch',
    work: (side) =>
      dispatch(side, {
        executor: number,
        limit,
        served: [{ name: NAME, version: VERSION, maxRecoveryAttempts: shared.maxAttempts }],
        anyVersion: false,
        occupied: { queues: undefined, counts: new Map() },
        after: '',
      }),
    seen: (answer, span) => {
      for (const each of (answer as Dispatched).claimed) shared.oracle.claimed(each, number, span.done);
    },
    settle: (answer) => {
      process.claiming--;
      const { claimed, due, again } = answer as Dispatched;
      process.ready ||= due;
      process.queued ||= again;
      if (number !== process.number) return;
      for (const each of claimed) process.recover(each);
    },
    lose: () => {
      process.claiming--;
      process.doubtSince ??= shared.now();
    },
  };
}

export const delayTask = (id: string, ms: number): Task => ({
  by: undefined,
  label: `delay ${id}`,
  work: (side) => setDelay(side, id, ms),
  seen: () => {},
  settle: () => {},
  lose: () => {},
});

/** At no moment are there two. */
export async function checkLimit(eye: Connections['eye']): Promise<void> {
  const { rows } = await eye.query<{ ids: string[] }>(
    `SELECT coalesce(array_agg(id), '{}') AS ids FROM pawl.workflow WHERE status = 'PENDING' AND queue_name = $1`,
    [QUEUE],
  );
  const ids = rows[0]?.ids ?? [];
  if (ids.length > 1) violated(`${ids.join(' and ')} hold the one slot of their queue`);
}
