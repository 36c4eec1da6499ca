// What a contender with queues offers to B5, B6 and the enqueueing: it runs the counting workflow of one step, which
// returns its seed (a plain job, if the contender has no steps and no results).
import type pg from 'pg';

export interface QueuePeer {
  /** Works on the queue in this process from now on. */
  work(databaseUrl: string, options: WorkOptions): Promise<QueueWorker>;
  /** Only puts workflows on the queue. Makes the tables, if they are not there. */
  produce(databaseUrl: string, options: QueueLimits): Promise<QueueProducer>;
  /** What the database says, asked over a plain connection and not through the contender. */
  durable(client: pg.Client): Promise<DurableQueue>;
}

export interface DurableQueue {
  /** Queued or running. */
  unfinished: number;
  /** Ended well, and the sum of their results; null if no such rows are kept. */
  ended: number | null;
  sum: number | null;
}

export interface QueueLimits {
  /** How many workflows one process may have under way. Default: what the contender's own manual advises. */
  workerConcurrency?: number | undefined;
}

export interface WorkOptions extends QueueLimits {
  /** What the contender's settings are chosen for: one workflow after another, or a backlog. */
  purpose: 'latency' | 'rate';
  /** Called around every workflow's body. */
  observe<R>(body: () => Promise<R>): Promise<R>;
}

export interface QueueWorker {
  /** Enqueues one and waits for its result, in the way of the contender's manual. */
  count(seed: number): Promise<number>;
  /** Takes nothing from the queue until it is resumed, and keeps its connections; for contenders that can. */
  readonly pausing?: { pause(): Promise<void>; resume(): Promise<void> };
  close(): Promise<void>;
}

interface QueueProducer {
  /** In one call if the contender has one for many, else in single calls at once. */
  enqueue(seeds: readonly number[]): Promise<void>;
  close(): Promise<void>;
}

/** For `durable`: a query that gives its three numbers, whatever integer types they have. */
export async function durableRow(client: pg.Client, query: string): Promise<DurableQueue> {
  const { rows } = await client.query<Record<keyof DurableQueue, string | null>>(query);
  const { unfinished, ended = null, sum = null } = rows[0] ?? {};
  return {
    unfinished: Number(unfinished),
    ended: ended === null ? null : Number(ended),
    sum: sum === null ? null : Number(sum),
  };
}
