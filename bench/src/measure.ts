// How a load is applied and timed: a fixed number of lanes, each running one unit after another.
// It knows nothing of workflows, and of the database only whose CPU time to read.
import type { Figures } from './contract.ts';
import { readServerCpu, serverCpuBetween } from './server-cpu.ts';

export interface Load {
  databaseUrl: string;
  /** How many units are under way at any time. */
  concurrency: number;
  warmupSeconds: number;
  seconds: number;
  /** What one run counts for in `perSecond`: 100 for a workflow whose 100 steps are counted. Default 1. */
  unitsPerRun?: number;
  /** The CPU time that the contender's process has used so far. Default: of this process. */
  cpuMicros?: () => number | Promise<number>;
  /** The processes of the contender's own server, if it has one: their CPU time counts as the server's. */
  serverPids?: readonly number[] | undefined;
}

/**
 * Runs `run` in lanes and gives rate, latencies of the runs and the CPU time of client and server per unit.
 *
 * Every lane does the same number of runs and the clock stops with the last of them. Stopping at a deadline
 * instead would leave lanes idle for up to one latency at the end, which takes 15% off a contender whose runs
 * need most of a second and nothing off one whose runs need a millisecond. The number of runs comes from the
 * rate of the warm-up, so that a turn lasts about `seconds` whoever runs it.
 */
export async function measure(load: Load, run: (n: number) => Promise<void>): Promise<Figures> {
  const {
    databaseUrl,
    concurrency,
    warmupSeconds,
    seconds,
    unitsPerRun = 1,
    cpuMicros = ownCpuMicros,
    serverPids,
  } = load;
  let n = 0;

  // The second half alone sets the pace: the first pays for compilation, connections and cold caches.
  await inLanes(concurrency, untilDeadline(warmupSeconds / 2), () => run(n++));
  const paceStart = performance.now();
  const paceFirst = n;
  await inLanes(concurrency, untilDeadline(warmupSeconds / 2), () => run(n++));
  const pacePerSecond = (n - paceFirst) / ((performance.now() - paceStart) / 1000);
  const runsPerLane = Math.max(2, Math.round((pacePerSecond * seconds) / concurrency));

  const latencies = new Float64Array(runsPerLane * concurrency);
  let done = 0;
  const serverCpuBefore = await readServerCpu(databaseUrl, serverPids);
  const cpuBefore = await cpuMicros();
  const start = performance.now();
  await inLanes(concurrency, times(runsPerLane), async () => {
    const runStart = performance.now();
    await run(n++);
    latencies[done++] = performance.now() - runStart;
  });
  const elapsedSeconds = (performance.now() - start) / 1000;
  const cpu = (await cpuMicros()) - cpuBefore;
  const serverCpu = serverCpuBetween(serverCpuBefore, await readServerCpu(databaseUrl, serverPids));

  latencies.sort();
  return {
    perSecond: (done * unitsPerRun) / elapsedSeconds,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    clientCpuMicrosPerUnit: cpu / (done * unitsPerRun),
    serverCpuMicrosPerUnit: serverCpu / (done * unitsPerRun),
    runs: done,
    elapsedSeconds,
    totalRuns: n,
  };
}

export function ownCpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** The value below which `share` of the sorted values lie. */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

async function inLanes(lanes: number, mayGoOn: () => () => boolean, run: () => Promise<void>): Promise<void> {
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      const goesOn = mayGoOn();
      while (goesOn()) await run();
    }),
  );
}

function untilDeadline(seconds: number): () => () => boolean {
  const deadline = performance.now() + seconds * 1000;
  return () => () => performance.now() < deadline;
}

function times(count: number): () => () => boolean {
  return () => {
    let left = count;
    return () => left-- > 0;
  };
}
