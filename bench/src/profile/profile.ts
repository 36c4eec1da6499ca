// What a scenario's time goes into while Pawl has its turn: statements on the server, and owners of code in the process.
// Apart from the runs that are compared, because both kinds of account cost time.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runTurn } from '../contender.ts';
import type { Figures, Scenario, Turn } from '../contract.ts';
import { withFreshDatabase } from '../database.ts';
import type { ProfileOptions } from '../options.ts';
import { progress } from '../progress.ts';
import type { ProfileResults } from '../results.ts';
import { beginAccount, openAccount, readCosts } from '../statements/costs.ts';
import { readShares } from './process-profile.ts';

/** Fewer calls are those of the launch. */
const leastCalls = 200;
/** What is less than that of the whole is not listed. */
const leastShare = 0.02;

export async function profileScenario(
  serverUrl: string,
  scenario: Scenario,
  options: ProfileOptions,
): Promise<ProfileResults> {
  progress(`${scenario.id}  ${scenario.title}`);
  const [figures, statements] = await withFreshDatabase(serverUrl, async (url) => {
    await openAccount(url);
    await beginAccount(url);
    const figuresOfTurn = await turnOf(scenario, url, options);
    return [figuresOfTurn, await statementsOf(url, figuresOfTurn)] as const;
  });
  const directory = await mkdtemp(path.join(tmpdir(), 'pawl-bench-'));
  try {
    await withFreshDatabase(serverUrl, (url) => turnOf(scenario, url, options, directory));
    const shares = await readShares(directory);
    const code = [...shares]
      .map(([owner, share]) => ({ owner, share }))
      .filter(({ share }) => share >= leastShare)
      .sort((a, b) => b.share - a.share);
    const { clientCpuMicrosPerUnit = NaN, serverCpuMicrosPerUnit = NaN } = figures;
    return { id: scenario.id, clientCpuMicrosPerUnit, serverCpuMicrosPerUnit, statements, code };
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function turnOf(
  scenario: Scenario,
  databaseUrl: string,
  { seconds, warmupSeconds }: ProfileOptions,
  cpuProfiles?: string,
): Promise<Figures> {
  const turn: Turn = { databaseUrl, seconds, warmupSeconds };
  const outcome = await runTurn(
    { scenario: scenario.id, contender: 'pawl', turn },
    { signal: new AbortController().signal, minutes: scenario.minutes, cpuProfiles },
  );
  if ('failure' in outcome) throw new Error(outcome.failure);
  return outcome.figures;
}

async function statementsOf(
  url: string,
  { perSecond = NaN, elapsedSeconds = NaN, runs = NaN, totalRuns = NaN }: Figures,
): Promise<ProfileResults['statements']> {
  const units = totalRuns * Math.round((perSecond * elapsedSeconds) / runs);
  const costs = [...(await readCosts(url, 'pawl', { others: true }))].filter(
    ([, { calls }]) => calls >= leastCalls,
  );
  const whole = costs.reduce((sum, [, { isCall, ms }]) => sum + (isCall ? ms : 0), 0);
  return costs
    .filter(([, { ms }]) => ms >= leastShare * whole)
    .sort(([, a], [, b]) => b.ms - a.ms)
    .map(([text, { isCall, calls, ms }]) => ({
      text,
      isCall,
      callsPerUnit: calls / units,
      micros: (ms * 1000) / calls,
      share: ms / whole,
    }));
}
