// The benchmark program: reads the options, starts or finds a server, gives the contenders their turns, prints
// the tables and writes the JSON. Ends with 1 if a turn failed or returned wrong results; a missed target is no failure.
// Further commands measure how the cost grows, what each statement costs, where the time goes, and write the page.
import { describeEnvironment, renderEnvironment } from './environment.ts';
import { curves } from './growth/curves.ts';
import { renderCurves, runCurve } from './growth/run.ts';
import {
  readGrowthOptions,
  readOptions,
  readPageOptions,
  readProfileOptions,
  readStatementsOptions,
  type RunOptions,
  UsageError,
  usage,
} from './options.ts';
import { writePage } from './page/write.ts';
import { profileScenario } from './profile/profile.ts';
import { renderProfile } from './profile/rows.ts';
import { renderComparisons, renderFigures, resultsOf, type ScenarioTurns } from './report.ts';
import { type CurveResults, type ProfileResults, type RunResults, writeResults } from './results.ts';
import { type Limits, runScenario } from './rounds.ts';
import { scenarios } from './scenarios/index.ts';
import { openServer } from './server.ts';
import { compareStatements, turns as statementTurns } from './statements/compare.ts';
import { startCountingServer } from './statements/costs.ts';
import { renderStatements } from './statements/grown.ts';

// The first interrupt ends the turn under way, and what was measured is still reported; the second ends the program.
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());

async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  if (args.includes('--help')) {
    console.log(usage);
    return 0;
  }
  if (command === 'growth') return measureGrowth(rest);
  if (command === 'statements') return measureStatements(rest);
  if (command === 'profile') return profile(rest);
  if (command === 'page') {
    await writePage(readPageOptions(rest));
    return 0;
  }
  return measureScenarios(args);
}

async function measureScenarios(args: readonly string[]): Promise<number> {
  const options = readOptions(args, scenarios);
  return measureOnServer(options, async (serverUrl, limits) => {
    const turns: ScenarioTurns[] = [];
    for (const scenario of options.scenarios)
      turns.push(await runScenario(scenario, options, serverUrl, limits));
    return {
      tables: `${renderFigures(turns)}\n\n${renderComparisons(turns)}`,
      results: { scenarios: turns.map(resultsOf) },
      failed: turns.some(({ failures }) => failures.length > 0),
    };
  });
}

async function measureGrowth(args: readonly string[]): Promise<number> {
  const options = readGrowthOptions(args, curves);
  return measureOnServer(options, async (serverUrl, limits) => {
    const measured: CurveResults[] = [];
    for (const curve of options.curves) measured.push(await runCurve(curve, options, serverUrl, limits));
    return {
      tables: renderCurves(measured, curves),
      results: { curves: measured },
      failed: measured.some(({ failures }) => failures.length > 0),
    };
  });
}

async function measureStatements(args: readonly string[]): Promise<number> {
  const options = readStatementsOptions(args);
  await using server = await startCountingServer();
  const statements = await compareStatements(server.url, options.rows);
  console.log(`\n${renderStatements(statements)}`);
  await writeResults(options.json, {
    finishedAt: new Date().toISOString(),
    settings: { rounds: statementTurns },
    ...(await describeEnvironment(server.url)),
    statements,
  });
  return 0;
}

async function profile(args: readonly string[]): Promise<number> {
  const options = readProfileOptions(args, scenarios);
  await using server = await startCountingServer();
  const profiles: ProfileResults[] = [];
  for (const scenario of options.scenarios)
    profiles.push(await profileScenario(server.url, scenario, options));
  console.log(`\n${profiles.map(renderProfile).join('\n\n')}`);
  const { seconds, warmupSeconds } = options;
  await writeResults(options.json, {
    finishedAt: new Date().toISOString(),
    settings: { rounds: 1, seconds, warmupSeconds },
    ...(await describeEnvironment(server.url)),
    profiles,
  });
  return 0;
}

interface Measured {
  tables: string;
  results: Pick<RunResults, 'scenarios' | 'curves'>;
  failed: boolean;
}

async function measureOnServer(
  options: RunOptions,
  run: (serverUrl: string, limits: Limits) => Promise<Measured>,
): Promise<number> {
  await using server = await openServer(options.database);
  const environment = await describeEnvironment(server.url);
  const { tables, results, failed } = await run(server.url, {
    deadline: performance.now() + options.budgetSeconds * 1000,
    interrupted: interrupted.signal,
  });

  console.log(`\n${tables}\n\n${renderEnvironment(environment)}`);
  const { rounds, seconds, warmupSeconds } = options;
  await writeResults(options.json, {
    finishedAt: new Date().toISOString(),
    settings: { rounds, seconds, warmupSeconds },
    ...environment,
    ...results,
  });
  return failed ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError || isUnknownOption(error);
  console.error(isUsage ? `${usage}\n\n${(error as Error).message}` : error);
  process.exitCode = 2;
}

/** Of `parseArgs`. */
function isUnknownOption(error: unknown): boolean {
  return String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS');
}
