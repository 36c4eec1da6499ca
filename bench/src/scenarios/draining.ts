// The turns of B6: fill a queue while nobody works on it, then let one or two processes drain it. They have drained some
// before, as all that is measured here has been under load before.
import { setTimeout as delay } from 'node:timers/promises';
import { sharedMs } from '../clock.ts';
import type { Contender, Figures, Turn } from '../contract.ts';
import { withClient } from '../database.ts';
import { queuePeerOf } from '../peers/load.ts';
import type { DurableQueue, QueuePeer } from '../peers/queue-peer.ts';
import type { QueueWork, Tally } from '../processes/queue-worker.ts';
import { startProcess, type TurnProcess } from '../processes/start.ts';
import { readServerCpu, serverCpuBetween } from '../server-cpu.ts';

const batch = 1_000;
const pollMs = 10;

/** Some need minutes for 20,000: they drain a few seconds' worth, which gives the same rate. */
const backlogs: Partial<Record<Contender, number>> = { dbos: 3_000, absurd: 4_000, openworkflow: 2_000 };

export interface Drain {
  processes: number;
  workerConcurrency?: number;
  /** How many to drain. Default: 20,000, or what the contender drains within seconds. */
  count?: number;
}

export async function drain(
  contender: Contender,
  { databaseUrl, warmupSeconds }: Turn,
  { processes, workerConcurrency, count = backlogs[contender] ?? 20_000 }: Drain,
): Promise<Figures> {
  const peer = await queuePeerOf(contender);
  const work: QueueWork = { contender, databaseUrl, workerConcurrency };
  const workers = Array.from({ length: processes }, () =>
    startProcess(new URL('../processes/queue-worker.ts', import.meta.url), work),
  );
  const fill = async (first: number, end: number): Promise<void> => {
    const producer = await peer.produce(databaseUrl, { workerConcurrency });
    for (let next = first; next < end; next += batch) {
      const length = Math.min(batch, end - next);
      await producer.enqueue(Array.from({ length }, (_, index) => next + index));
    }
    await producer.close();
  };
  try {
    let warm = 0;
    // Each by itself, because a peer without a limit may give all to whoever polls first; Pawl's queue is paused and resumed
    // for all processes at once, and shared.
    const turns = contender === 'pawl' ? [workers] : workers.map((worker) => [worker]);
    for (const taking of warmupSeconds > 0 ? turns : []) {
      const share = Math.ceil(count / 2) * taking.length;
      await fill(warm, warm + share);
      warm += share;
      await timeDrain(peer, databaseUrl, taking, share, warm);
      await Promise.all(taking.map((worker) => worker.ask('rest')));
    }
    await fill(warm, warm + count);
    return await timeDrain(peer, databaseUrl, workers, count, warm + count);
  } finally {
    await Promise.all(workers.map((worker) => worker[Symbol.asyncDispose]()));
  }
}

/**
 * The clock runs from the first body that any process begins to the moment at which the rows say that all ended. What
 * a process needs to connect, and a contender's first poll, come before.
 */
async function timeDrain(
  peer: QueuePeer,
  databaseUrl: string,
  workers: readonly TurnProcess[],
  count: number,
  total: number,
): Promise<Figures> {
  const cpuMicros = async (): Promise<number> =>
    sum(await Promise.all(workers.map((worker) => worker.cpuMicros())));
  const cpuBefore = await cpuMicros();
  const serverCpuBefore = await readServerCpu(databaseUrl);
  await Promise.all(workers.map((worker) => worker.ask('serve')));

  let tallies = await talliesOf(workers);
  while (runsOf(tallies) < count) {
    await delay(pollMs);
    tallies = await talliesOf(workers);
  }
  // Only the last few are still under way, so only now the rows are asked.
  while ((await durable(peer, databaseUrl)).unfinished > 0) await delay(pollMs);
  const endedMs = sharedMs();

  const cpu = (await cpuMicros()) - cpuBefore;
  const serverCpu = serverCpuBetween(serverCpuBefore, await readServerCpu(databaseUrl));
  await checkEnded(peer, databaseUrl, total);
  tallies = await talliesOf(workers);
  if (runsOf(tallies) !== count) throw new Error(`${count} workflows were run ${runsOf(tallies)} times.`);

  const beganMs = Math.min(...tallies.map(({ firstMs }) => firstMs ?? endedMs));
  const seconds = (endedMs - beganMs) / 1000;
  return {
    perSecond: count / seconds,
    clientCpuMicrosPerUnit: cpu / count,
    serverCpuMicrosPerUnit: serverCpu / count,
    runs: count,
    totalRuns: total,
    elapsedSeconds: seconds,
    leastShare: Math.min(...tallies.map(({ runs }) => runs)) / count,
  };
}

/** None is left, and all ended well with the results that the seeds from 0 on give. */
export async function checkEnded(peer: QueuePeer, databaseUrl: string, count: number): Promise<void> {
  const { unfinished, ended, sum: results } = await durable(peer, databaseUrl);
  const expected = (count * (count - 1)) / 2;
  if (unfinished !== 0 || (ended ?? count) !== count || (results ?? expected) !== expected) {
    throw new Error(
      `Of ${count} workflows ${unfinished} are unfinished and ${ended} ended well; ` +
        `their results add up to ${results}, expected ${expected}.`,
    );
  }
}

export function durable(peer: QueuePeer, databaseUrl: string): Promise<DurableQueue> {
  return withClient(databaseUrl, (client) => peer.durable(client));
}

async function talliesOf(workers: readonly TurnProcess[]): Promise<Tally[]> {
  return Promise.all(workers.map(async (worker) => (await worker.ask('tally')) as Tally));
}

function runsOf(tallies: readonly Tally[]): number {
  return sum(tallies.map(({ runs }) => runs));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
