// Owns the commands of queues: list, pause, resume. Never changes a limit: those belong to the app's code.

import { listQueues, pauseQueue, type QueueInfo } from '../app/queues.ts';
import { withPawl } from './connect.ts';
import type { Context } from './context.ts';
import { unknownQueue } from './failure.ts';

export async function showQueues({ where, json, terminal }: Context): Promise<void> {
  const queues = await withPawl(where, listQueues);
  if (json) {
    terminal.json({ queues });
    return;
  }
  if (queues.length === 0) {
    terminal.note('There is no queue here. An app makes one with pawl.registerQueue().');
    return;
  }
  terminal.table(
    [
      { title: 'QUEUE', flexible: true },
      { title: 'STATE' },
      { title: 'QUEUED', align: 'right' },
      { title: 'DELAYED', align: 'right' },
      { title: 'RUNNING', align: 'right' },
      { title: 'LIMITS', flexible: true },
    ],
    queues.map((queue) => [
      queue.name,
      queue.paused ? { text: 'paused', style: 'yellow' } : { text: 'open', style: 'green' },
      String(queue.queued),
      String(queue.delayed),
      String(queue.running),
      limits(queue),
    ]),
  );
}

function limits(queue: QueueInfo): string {
  const { concurrency, workerConcurrency, rateLimit, partitionConcurrency } = queue;
  return [
    concurrency !== undefined && `${concurrency} at once`,
    workerConcurrency !== undefined && `${workerConcurrency} per process`,
    partitionConcurrency !== undefined && `${partitionConcurrency} per partition`,
    rateLimit !== undefined && `${rateLimit.limit} in ${rateLimit.periodSeconds} s`,
    queue.partitioned && partitionConcurrency === undefined && 'partitioned',
    queue.priorityEnabled && 'by priority',
  ]
    .filter((limit) => limit !== false)
    .join(', ');
}

export async function pause(
  { where, json, terminal }: Context,
  name: string,
  paused: boolean,
): Promise<void> {
  const changed = await withPawl(where, async (core) => {
    const before = (await listQueues(core)).find((queue) => queue.name === name);
    if (before === undefined) throw unknownQueue(name);
    await pauseQueue(core, name, paused);
    return before.paused !== paused;
  });
  if (json) terminal.json({ name, paused, changed });
  else if (changed) terminal.print(`${name}: ${paused ? 'paused; what runs goes on' : 'resumed'}`);
  else terminal.print(`${name}: left alone, it is ${paused ? 'paused already' : 'not paused'}`);
}
