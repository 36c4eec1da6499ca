// Queues: their definitions, and taking out what waits in them.

import { textArray } from './arrays.ts';
import type { Lane, Queryable } from './database.ts';
import {
  type ClaimedWorkflow,
  collectClaimed,
  JOURNAL_COLUMNS,
  type Occupied,
  occupiedParams,
  type Served,
} from './lifecycle.ts';

export interface DispatchOptions {
  executor: number;
  limit: number;
  served: readonly Served[];
  anyVersion: boolean;
  occupied: Occupied;
  /** The queue that was served last: the others come first. */
  after: string;
}

export interface Dispatched {
  claimed: ClaimedWorkflow[];
  /** Something without a queue is due: its delay is over. */
  due: boolean;
  /** There is more, for this process. */
  again: boolean;
  /** There is more, which this process cannot take. */
  left: boolean;
  /** When a delay is over or a rate limit allows more, by the database's clock. */
  laterAt: number | undefined;
}

const DISPATCH = `SELECT ${JOURNAL_COLUMNS} FROM pawl.dispatch($1::text::bigint, $2::text::int, $3::text::text[], $4::text::text[],
 $5::text::boolean, $6::text::text[], $7::text::text[], $8::text::int[], $9::text)`;
const KIND = 4;
const DEADLINE = 13;

export async function dispatch(lane: Lane, options: DispatchOptions): Promise<Dispatched> {
  const rows = await lane.call(DISPATCH, [
    String(options.executor),
    String(options.limit),
    textArray(options.served.map((s) => s.name)),
    textArray(options.served.map((s) => s.version)),
    String(options.anyVersion),
    ...occupiedParams(options.occupied),
    options.after,
  ]);
  const later = rows.find((row) => row[KIND] === 'later')?.[DEADLINE];
  return {
    claimed: collectClaimed(rows),
    due: rows.some((row) => row[KIND] === 'due'),
    again: rows.some((row) => row[KIND] === 'again'),
    left: rows.some((row) => row[KIND] === 'left'),
    laterAt: later === undefined || later === null ? undefined : Number(later),
  };
}

/** Limits that are null are none. */
export interface QueueDefinition {
  name: string;
  concurrency: number | null;
  workerConcurrency: number | null;
  rateLimit: { limit: number; periodMs: number } | null;
  priorityEnabled: boolean;
  partitioned: boolean;
  partitionConcurrency: number | null;
}

/** Makes them what they are to be; whether they are paused stays. */
export async function defineQueues(on: Queryable, queues: readonly QueueDefinition[]): Promise<void> {
  await on.query('SELECT pawl.define_queues($1::jsonb)', [
    JSON.stringify(
      queues.map((queue) => ({
        name: queue.name,
        concurrency: queue.concurrency,
        worker_concurrency: queue.workerConcurrency,
        rate_limit: queue.rateLimit?.limit ?? null,
        rate_period_ms: queue.rateLimit?.periodMs ?? null,
        priority_enabled: queue.priorityEnabled,
        partitioned: queue.partitioned,
        partition_concurrency: queue.partitionConcurrency,
      })),
    ),
  ]);
}

export interface QueueRow extends QueueDefinition {
  paused: boolean;
  /** Wait in it, those that are delayed not counted. */
  queued: number;
  delayed: number;
  /** Hold a slot: begun, and not ended. */
  running: number;
}

/** All, by name. */
export async function listQueues(on: Queryable): Promise<QueueRow[]> {
  const { rows } = await on.query<{
    name: string;
    concurrency: number | null;
    worker_concurrency: number | null;
    rate_limit: number | null;
    rate_period_ms: number | null;
    priority_enabled: boolean;
    partitioned: boolean;
    partition_concurrency: number | null;
    paused: boolean;
    queued: number;
    delayed: number;
    running: number;
  }>(
    `SELECT q.*,
       (SELECT count(*)::float8 FROM pawl.workflow w WHERE w.status = 'ENQUEUED' AND w.queue_name = q.name) AS queued,
       (SELECT count(*)::float8 FROM pawl.workflow w WHERE w.status = 'DELAYED' AND w.queue_name = q.name) AS delayed,
       (SELECT count(*)::float8 FROM pawl.workflow w WHERE w.status = 'PENDING' AND w.queue_name = q.name) AS running
     FROM pawl.queue q ORDER BY q.name`,
  );
  return rows.map((row) => ({
    name: row.name,
    concurrency: row.concurrency,
    workerConcurrency: row.worker_concurrency,
    rateLimit:
      row.rate_limit === null ? null : { limit: row.rate_limit, periodMs: row.rate_period_ms as number },
    priorityEnabled: row.priority_enabled,
    partitioned: row.partitioned,
    partitionConcurrency: row.partition_concurrency,
    paused: row.paused,
    queued: row.queued,
    delayed: row.delayed,
    running: row.running,
  }));
}

/** False: there is no such queue. */
export async function setPaused(on: Queryable, name: string, paused: boolean): Promise<boolean> {
  const { rowCount } = await on.query(
    'UPDATE pawl.queue SET paused = $2, updated_at = pawl.clock() WHERE name = $1',
    [name, paused],
  );
  return rowCount > 0;
}

/** False: there is no such workflow. One that waits no longer is left alone. */
export async function setPriority(on: Queryable, workflowID: string, priority: number): Promise<boolean> {
  return change(on, 'SELECT pawl.set_priority($1, $2) AS found', [workflowID, priority]);
}

/** Counted from now; 0: at once. */
export async function setDelay(on: Queryable, workflowID: string, delayMs: number): Promise<boolean> {
  return change(on, 'SELECT pawl.set_delay($1, $2) AS found', [workflowID, delayMs]);
}

async function change(on: Queryable, text: string, params: unknown[]): Promise<boolean> {
  const { rows } = await on.query<{ found: boolean }>(text, params);
  return rows[0]?.found === true;
}
