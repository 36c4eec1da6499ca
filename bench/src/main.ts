// The benchmark program: reads the options, starts or finds a server, gives the contenders their turns, prints
// the tables and writes the JSON. Ends with 1 if a turn failed or returned wrong results; a missed target is no failure.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startPostgres } from '@pawl/test-support';
import { describeEnvironment, type Environment } from './environment.ts';
import { type Options, readOptions, UsageError, usage } from './options.ts';
import { compare, renderComparisons, renderFigures, type ScenarioTurns, summarize } from './report.ts';
import { runScenario } from './rounds.ts';
import { scenarios } from './scenarios/index.ts';

// The first interrupt ends the turn under way, and what was measured is still reported; the second ends the program.
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(usage);
    return 0;
  }
  const options = readOptions(args, scenarios);
  await using server = await openServer(options.database);
  const environment = await describeEnvironment(server.url);
  const limits = {
    deadline: performance.now() + options.budgetSeconds * 1000,
    interrupted: interrupted.signal,
  };

  const results: ScenarioTurns[] = [];
  for (const scenario of options.scenarios) {
    results.push(await runScenario(scenario, options, server.url, limits));
  }

  console.log(
    `\n${renderFigures(results)}\n\n${renderComparisons(results)}\n\n${renderEnvironment(environment)}`,
  );
  await writeJson(options, environment, results);
  return results.some(({ failures }) => failures.length > 0) ? 1 : 0;
}

/** Default settings, fsync included; the test support's own defaults are faster and not durable. */
async function openServer(database: string | undefined): Promise<{ url: string } & AsyncDisposable> {
  if (database !== undefined) return { url: database, [Symbol.asyncDispose]: async () => {} };
  return startPostgres({ fsync: 'on', full_page_writes: 'on', max_connections: '100' });
}

async function writeJson(
  options: Options,
  environment: Environment,
  results: readonly ScenarioTurns[],
): Promise<void> {
  const { rounds, seconds, warmupSeconds } = options;
  const report = {
    finishedAt: new Date().toISOString(),
    settings: { rounds, seconds, warmupSeconds },
    ...environment,
    scenarios: results.map((turns) => ({
      id: turns.scenario.id,
      title: turns.scenario.title,
      unit: turns.scenario.unit,
      medians: Object.fromEntries(summarize(turns)),
      comparisons: compare(turns),
      rounds: turns.rounds.map((round) => Object.fromEntries(round)),
      failures: turns.failures,
    })),
  };
  await mkdir(path.dirname(path.resolve(options.json)), { recursive: true });
  await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`);
  console.log(`Figures written to ${options.json}.`);
}

function renderEnvironment({ machine, server, versions }: Environment): string {
  const list = (values: Record<string, string>): string =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  return [
    `machine   ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}`,
    `server    ${list(server)}`,
    `versions  ${list(versions)}`,
  ].join('\n');
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof UsageError ? `${error.message}\n\n${usage}` : error);
  process.exitCode = 2;
}
