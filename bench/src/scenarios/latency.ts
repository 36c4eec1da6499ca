// A database that is 50 ms away: many workflows at once should hardly notice, and a lone one should pay for the round
// trips that it needs and for nothing else. Near and far have their turns in one process, in schemas of their own.
import type { Figures, Scenario, Turn } from '../contract.ts';
import { withClient } from '../database.ts';
import { median } from '../measure.ts';
import type { WorkflowApp } from '../peers/workflow-app.ts';
import type { ProxyWork } from '../processes/proxy.ts';
import { startProcess } from '../processes/start.ts';
import { checkRows, measureCounting } from './counting.ts';

const oneWayMs = 25;
const atOnce = 5_000;
const pairs = 2;
const probes = 21;

export const latency: Scenario = {
  id: 'latency',
  title: `1-step workflow, ${atOnce.toLocaleString('en-US')} at a time, database ${2 * oneWayMs} ms away`,
  unit: 'workflows/s',
  contenders: ['pawl'],
  minutes: 4,
  targets: [
    { against: null, figure: 'timesLoopback', bound: { atLeast: 0.5 } },
    // Start, step, end. The rest is for a machine that runs slower after each wait; a fourth one would not fit in it.
    { against: null, figure: 'roundTripsAlone', bound: { atMost: 3.5 } },
  ],
  async turn(_contender, turn) {
    await using proxy = startProcess(new URL('../processes/proxy.ts', import.meta.url), proxyTo(turn));
    const farUrl = new URL(turn.databaseUrl);
    farUrl.host = `127.0.0.1:${Number(await proxy.ask('port'))}`;
    const { launchPawl } = await import('../peers/pawl.ts');
    const near = await launchPawl(turn.databaseUrl);
    const far = await launchPawl(farUrl.href, { schema: 'far' });
    try {
      const { totalRuns, ...throughput } = await compareThroughput(near, far, turn);
      const { totalRuns: runsAlone, ...alone } = await measureAlone(near, far, turn, farUrl.href);
      checkRows(await far.durable(), totalRuns + runsAlone, 1);
      return { ...throughput, ...alone };
    } finally {
      await Promise.all([near.close(), far.close()]);
    }
  },
};

function proxyTo({ databaseUrl }: Turn): ProxyWork {
  const { hostname, port } = new URL(databaseUrl);
  return { host: hostname, port: Number(port || 5432), delayMs: oneWayMs };
}

async function compareThroughput(
  near: WorkflowApp,
  far: WorkflowApp,
  turn: Turn,
): Promise<{ totalRuns: number } & Figures> {
  const rates = { near: [] as number[], far: [] as number[] };
  const times: number[] = [];
  let totalRuns = 0;
  for (let pair = 0; pair < pairs; pair++) {
    const rate = { near: Number.NaN, far: Number.NaN };
    for (const which of pair % 2 === 0 ? (['near', 'far'] as const) : (['far', 'near'] as const)) {
      const measured = await measureCounting(which === 'near' ? near : far, turn, {
        steps: 1,
        concurrency: atOnce,
        count: 'workflows',
      });
      rate[which] = measured['perSecond'] ?? Number.NaN;
      rates[which].push(rate[which]);
      if (which === 'far') totalRuns += measured['totalRuns'] ?? 0;
    }
    times.push(rate.far / rate.near);
  }
  return {
    perSecond: median(rates.far),
    perSecondLoopback: median(rates.near),
    timesLoopback: median(times),
    totalRuns,
  };
}

/**
 * How many times the way to the database is in the latency of a lone workflow: what the far one takes longer, in units of
 * what a statement takes longer there. So what the machine itself is slow at does not count as way.
 */
async function measureAlone(
  near: WorkflowApp,
  far: WorkflowApp,
  turn: Turn,
  farUrl: string,
): Promise<{ totalRuns: number } & Figures> {
  const load = { steps: 1, concurrency: 1, count: 'workflows' } as const;
  const there = await measureCounting(far, turn, load);
  const here = await measureCounting(near, turn, load);
  const roundTripMs = await measureRoundTrip(farUrl);
  const wayMs = roundTripMs - (await measureRoundTrip(turn.databaseUrl));
  const [p50Ms = Number.NaN, p50LoopbackMs = Number.NaN] = [there['p50Ms'], here['p50Ms']];
  return {
    p50AloneMs: p50Ms,
    p99AloneMs: there['p99Ms'] ?? Number.NaN,
    p50LoopbackMs,
    roundTripMs,
    roundTripsAlone: (p50Ms - p50LoopbackMs) / wayMs,
    totalRuns: there['totalRuns'] ?? 0,
  };
}

/** What a round trip really takes, timers and all. */
function measureRoundTrip(url: string): Promise<number> {
  return withClient(url, async (client) => {
    const times: number[] = [];
    for (let probe = 0; probe < probes; probe++) {
      const began = performance.now();
      await client.query('select 1');
      times.push(performance.now() - began);
    }
    return median(times);
  });
}
