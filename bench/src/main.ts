// The benchmark program: reads the options, starts or finds a server, gives the contenders their turns, prints
// the tables and writes the JSON. Ends with 1 if a turn failed or returned wrong results; a missed target is no failure.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startPostgres } from '@pawl/test-support';
import { runTurn } from './contender.ts';
import type { Contender, Figures, Scenario } from './contract.ts';
import { withFreshDatabase } from './database.ts';
import { describeEnvironment, type Environment } from './environment.ts';
import { type Options, readOptions, UsageError, usage } from './options.ts';
import { compare, renderComparisons, renderFigures, type ScenarioTurns, summarize, unitOf } from './report.ts';
import { scenarios } from './scenarios/index.ts';

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    console.log(usage);
    return 0;
  }
  const options = readOptions(args, scenarios);
  await using server = await openServer(options.database);
  const environment = await describeEnvironment(server.url);
  const deadline = performance.now() + options.budgetSeconds * 1000;

  const results: ScenarioTurns[] = [];
  for (const scenario of options.scenarios) results.push(await runScenario(scenario, options, server.url, deadline));

  console.log(`\n${renderFigures(results)}\n\n${renderComparisons(results)}\n\n${renderEnvironment(environment)}`);
  await writeJson(options, environment, results);
  return results.some(({ failures, rounds }) => failures.length > 0 || rounds.length === 0) ? 1 : 0;
}

/** Default settings, fsync included; the test support's own defaults are faster and not durable. */
async function openServer(database: string | undefined): Promise<{ url: string } & AsyncDisposable> {
  if (database !== undefined) return { url: database, [Symbol.asyncDispose]: async () => {} };
  return startPostgres({ fsync: 'on', full_page_writes: 'on', max_connections: '100' });
}

async function runScenario(
  scenario: Scenario,
  options: Options,
  serverUrl: string,
  deadline: number,
): Promise<ScenarioTurns> {
  const { rounds: roundCount, warmupSeconds, seconds, cpuProfiles } = options;
  const rounds: Map<Contender, Figures>[] = [];
  const failures: ScenarioTurns['failures'] = [];
  let contenders = scenario.contenders.filter((contender) => options.contenders.includes(contender));
  progress(`${scenario.id}  ${scenario.title}`);

  for (let round = 0; round < roundCount; round++) {
    const figures = new Map<Contender, Figures>();
    // Another one begins each round, so that no contender always follows the same neighbour.
    for (const contender of rotate(contenders, round)) {
      if (performance.now() > deadline) {
        progress('  the time budget is used up');
        if (figures.size > 0) rounds.push(figures);
        return { scenario, rounds, failures };
      }
      const profiles = contender === 'pawl' ? cpuProfiles : undefined;
      const outcome = await withFreshDatabase(serverUrl, (databaseUrl) =>
        runTurn({ scenario: scenario.id, contender, turn: { databaseUrl, warmupSeconds, seconds } }, profiles),
      );
      const label = `  round ${round + 1}/${roundCount}  ${contender.padEnd(5)}`;
      if ('failure' in outcome) {
        progress(`${label} FAILED: ${outcome.failure}`);
        failures.push({ contender, message: outcome.failure });
        contenders = contenders.filter((each) => each !== contender);
      } else {
        progress(`${label} ${Math.round(outcome.figures['perSecond'] ?? NaN)} ${unitOf(scenario, contender)}`);
        figures.set(contender, outcome.figures);
      }
    }
    rounds.push(figures);
  }
  return { scenario, rounds, failures };
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const offset = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(offset), ...items.slice(0, offset)];
}

async function writeJson(options: Options, environment: Environment, results: readonly ScenarioTurns[]): Promise<void> {
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
  const list = (values: Record<string, unknown>): string =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  return [
    `machine   ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}`,
    `server    ${list(server)}`,
    `versions  ${list(versions)}`,
  ].join('\n');
}

// Progress goes to stderr: stdout holds the tables alone.
function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof UsageError ? `${error.message}\n\n${usage}` : error);
  process.exitCode = 2;
}
