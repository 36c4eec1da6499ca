// Queues: their registration, what a start in one may say, and what operators do with them.

import {
  checkName,
  checkWorkflowID,
  type Duration,
  secondsToMilliseconds,
  toMilliseconds,
  shown,
} from '../codec/index.ts';
import {
  ConfigurationError,
  NonExistentWorkflowError,
  UnknownQueueError,
  ValidationError,
} from '../errors/index.ts';
import type { QueuedPart } from '../store/operations.ts';
import * as store from '../store/queues.ts';
import { checkOptions } from './check-options.ts';
import type { PawlCore } from './core.ts';

/** Limits of a queue. All are optional; without any, a queue only keeps order and takes load off the caller. */
export interface QueueOptions {
  /** How many run at once over all processes: begun and not ended, those that wait or sleep included. */
  concurrency?: number;
  /** How many one process runs at once. Those that sleep outside of memory are not counted. */
  workerConcurrency?: number;
  /** At most `limit` are begun in any `periodSeconds`. */
  rateLimit?: { limit: number; periodSeconds: number };
  /** Smaller `priority` first. Without it priorities are stored and not looked at. */
  priorityEnabled?: boolean;
  /** Each start names a `partitionKey`; partitions have their turns, so that a long one does not hold up the others. */
  partitioned?: boolean;
  /** How many of one partition run at once, over all processes. */
  partitionConcurrency?: number;
}

export interface Queue extends Readonly<QueueOptions> {
  readonly name: string;
}

export interface QueueInfo extends Queue {
  paused: boolean;
  /** Waiting, those that are delayed not counted. */
  queued: number;
  delayed: number;
  /** Begun and not ended. */
  running: number;
}

export function registerQueue(core: PawlCore, name: string, options: QueueOptions = {}): Queue {
  const definition = readDefinition(name, options);
  core.queues.set(definition.name, definition);
  if (core.state === 'ready') {
    // Starts wait for it. Should it fail, they say so, or find that the queue is not there.
    const stored = storeQueues(core, [definition]).catch((error: unknown) => {
      const text = `Queue "${name}" could not be stored; it is tried again with the next start in a queue`;
      core.events.emit('remark', { level: 'error', text, error });
      core.unstoredQueues.add(definition.name);
    });
    core.storingQueues = Promise.all([core.storingQueues, stored]).then(() => undefined);
  }
  return Object.freeze({ ...options, name: definition.name });
}

/** At launch, before anything is claimed. */
export async function storeQueues(core: PawlCore, queues?: store.QueueDefinition[]): Promise<void> {
  const definitions = queues ?? [...core.queues.values()];
  if (definitions.length === 0) return;
  const runtime = core.running('registerQueue');
  await store.defineQueues(runtime.database, definitions);
  for (const { name } of definitions) core.unstoredQueues.delete(name);
  runtime.dispatchSoon();
}

/** What was registered a moment ago may be started in. */
export async function queuesStored(core: PawlCore): Promise<void> {
  await core.storingQueues;
  if (core.unstoredQueues.size === 0) return;
  await storeQueues(
    core,
    [...core.queues.values()].filter(({ name }) => core.unstoredQueues.has(name)),
  );
}

function readDefinition(name: string, options: QueueOptions): store.QueueDefinition {
  checkName(name, 'queue name');
  checkOptions('registerQueue()', options, OPTIONS);
  const { concurrency, workerConcurrency, rateLimit, partitionConcurrency } = options;
  const { priorityEnabled = false, partitioned = false } = options;
  const whole = (value: number | undefined, what: string): number | null => {
    if (value === undefined) return null;
    if (Number.isInteger(value) && value >= 1 && value < 2 ** 31) return value;
    throw new ConfigurationError(
      `${what} of queue "${name}" must be a whole number of at least 1, not ${shown(value)}. To stop a queue, use pawl.pauseQueue("${name}").`,
    );
  };
  if (partitionConcurrency !== undefined && !partitioned) {
    throw new ConfigurationError(
      `Queue "${name}" has a partitionConcurrency, so it must be partitioned: true.`,
    );
  }
  let rate: store.QueueDefinition['rateLimit'] = null;
  if (rateLimit !== undefined) {
    const { limit, periodSeconds } = rateLimit;
    if (!(Number.isFinite(periodSeconds) && periodSeconds > 0)) {
      throw new ConfigurationError(
        `rateLimit.periodSeconds of queue "${name}" must be a number of seconds above 0, not ${String(periodSeconds)}.`,
      );
    }
    // What is too long for a date would fail each look at what waits, in any queue.
    secondsToMilliseconds(periodSeconds, `rateLimit.periodSeconds of queue "${name}"`);
    rate = { limit: whole(limit ?? Number.NaN, 'rateLimit.limit') as number, periodMs: periodSeconds * 1000 };
  }
  return {
    name,
    concurrency: whole(concurrency, 'concurrency'),
    workerConcurrency: whole(workerConcurrency, 'workerConcurrency'),
    rateLimit: rate,
    priorityEnabled,
    partitioned,
    partitionConcurrency: whole(partitionConcurrency, 'partitionConcurrency'),
  };
}

const OPTIONS: Record<keyof QueueOptions, true> = {
  concurrency: true,
  workerConcurrency: true,
  rateLimit: true,
  priorityEnabled: true,
  partitioned: true,
  partitionConcurrency: true,
};

interface QueuedParams {
  queueName?: string;
  priority?: number;
  deduplicationID?: string;
  partitionKey?: string;
  delay?: Duration;
  applicationVersion?: string;
}

/** undefined: begun by the one who starts it. */
export function readQueued(params: QueuedParams): QueuedPart | undefined {
  const { queueName, deduplicationID, partitionKey, delay, applicationVersion } = params;
  const priority = checkPriority(params.priority);
  if (queueName === undefined) {
    for (const name of ['deduplicationID', 'partitionKey'] as const)
      if (params[name] !== undefined)
        throw new ValidationError(
          `${name} says something about a queue: give startWorkflow() a queueName too, or leave it out.`,
        );
    if (delay === undefined && applicationVersion === undefined) return undefined;
  } else checkName(queueName, 'queue name');
  if (applicationVersion !== undefined) checkName(applicationVersion, 'application version');
  const delayMs = delay === undefined ? 0 : toMilliseconds(delay, 'delay');
  return {
    queue: queueName ?? null,
    priority: priority ?? null,
    partitionKey: partitionKey === undefined ? null : checkName(partitionKey, 'partition key'),
    deduplicationID: deduplicationID === undefined ? null : checkName(deduplicationID, 'deduplication id'),
    delayMs: delayMs > 0 ? delayMs : null,
  };
}

function checkPriority(priority: number | undefined): number | undefined {
  if (priority === undefined || (Number.isInteger(priority) && Math.abs(priority) < 2 ** 31)) return priority;
  throw new ValidationError(`priority must be a whole number of 32 bits, not ${shown(priority)}.`);
}

export async function listQueues(core: PawlCore): Promise<QueueInfo[]> {
  const { database } = core.outsideTransaction('listQueues');
  await queuesStored(core);
  const rows = await store.listQueues(database);
  return rows.map((row) => ({
    name: row.name,
    ...(row.concurrency !== null && { concurrency: row.concurrency }),
    ...(row.workerConcurrency !== null && { workerConcurrency: row.workerConcurrency }),
    ...(row.rateLimit !== null && {
      rateLimit: { limit: row.rateLimit.limit, periodSeconds: row.rateLimit.periodMs / 1000 },
    }),
    priorityEnabled: row.priorityEnabled,
    partitioned: row.partitioned,
    ...(row.partitionConcurrency !== null && { partitionConcurrency: row.partitionConcurrency }),
    paused: row.paused,
    queued: row.queued,
    delayed: row.delayed,
    running: row.running,
  }));
}

export async function pauseQueue(core: PawlCore, name: string, paused: boolean): Promise<void> {
  await core.recordedCall(paused ? 'pauseQueue' : 'resumeQueue', async () => {
    const { database, dispatchSoon } = core.outsideTransaction(paused ? 'pauseQueue' : 'resumeQueue');
    await queuesStored(core);
    if (!(await store.setPaused(database, checkName(name, 'queue name'), paused)))
      throw new UnknownQueueError(name);
    if (!paused) dispatchSoon();
  });
}

export async function setWorkflowPriority(
  core: PawlCore,
  workflowID: string,
  priority: number,
): Promise<void> {
  const checked = checkPriority(priority ?? Number.NaN) as number;
  await core.recordedCall('setWorkflowPriority', async () => {
    const { database } = core.outsideTransaction('setWorkflowPriority');
    if (!(await store.setPriority(database, checkWorkflowID(workflowID), checked)))
      throw new NonExistentWorkflowError(workflowID);
  });
}

export async function setWorkflowDelay(core: PawlCore, workflowID: string, delay: Duration): Promise<void> {
  const delayMs = toMilliseconds(delay, 'delay');
  await core.recordedCall('setWorkflowDelay', async () => {
    const { database, dispatchSoon } = core.outsideTransaction('setWorkflowDelay');
    if (!(await store.setDelay(database, checkWorkflowID(workflowID), delayMs)))
      throw new NonExistentWorkflowError(workflowID);
    dispatchSoon(delayMs);
  });
}
