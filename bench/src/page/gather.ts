// Puts the results of several runs together: what several of them hold is taken from the newest.
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../options.ts';
import {
  type CurveResults,
  type ProfileResults,
  readResults,
  type RunResults,
  type ScenarioResults,
  type StatementsResults,
} from '../results.ts';

export interface Run extends RunResults {
  /** The name of its file. */
  file: string;
  /** Names of what the page shows of it. */
  taken: readonly string[];
}

export interface Gathered {
  /** Only those that something is taken from, oldest first. */
  runs: readonly Run[];
  scenarios: ReadonlyMap<string, ScenarioResults>;
  curves: ReadonlyMap<string, CurveResults>;
  statements: StatementsResults | undefined;
  profiles: ReadonlyMap<string, ProfileResults>;
}

const directory = 'results';

export async function gatherResults(from: readonly string[] | undefined): Promise<Gathered> {
  const files = from ?? (await publishedFiles());
  const runs = await Promise.all(
    files.map(async (file): Promise<Run> => ({
      file: path.basename(file),
      taken: [],
      ...(await readRun(file)),
    })),
  );
  runs.sort((a, b) => compareTexts(a.finishedAt, b.finishedAt) || compareTexts(a.file, b.file));

  const scenarios = new Map<string, ScenarioResults>();
  const curves = new Map<string, CurveResults>();
  const profiles = new Map<string, ProfileResults>();
  for (const run of runs) {
    for (const scenario of run.scenarios ?? []) scenarios.set(scenario.id, scenario);
    for (const curve of run.curves ?? []) curves.set(curve.id, curve);
    for (const profile of run.profiles ?? []) profiles.set(profile.id, profile);
  }
  const statements = runs.findLast((run) => run.statements !== undefined)?.statements;
  const used = new Set<unknown>([...scenarios.values(), ...curves.values(), ...profiles.values()]);
  const takenOf = (run: Run): string[] => {
    const ids = (run.scenarios ?? []).filter((part) => used.has(part)).map(({ id }) => id);
    // B11-express-endpoint-new, where it is the only variant that is taken; else B11.
    const many = ids.length > 8 ? [...new Set(ids.map((id) => id.replace(/-.*/, '')))] : ids;
    return [
      ...many,
      ...(run.curves ?? []).filter((part) => used.has(part)).map(({ id }) => `curve of ${id}`),
      ...((run.profiles ?? []).some((part) => used.has(part)) ? ['profiles'] : []),
      ...(run.statements !== undefined && run.statements === statements ? ['statements'] : []),
    ];
  };
  return {
    runs: runs.map((run): Run => ({ ...run, taken: takenOf(run) })).filter(({ taken }) => taken.length > 0),
    scenarios,
    curves,
    statements,
    profiles,
  };
}

async function readRun(file: string): Promise<RunResults> {
  try {
    return await readResults(file);
  } catch (error) {
    throw new UsageError(`${file} holds no results: ${String(error)}`);
  }
}

async function publishedFiles(): Promise<string[]> {
  const names = (await readdir(directory).catch(() => [])).filter(
    (name) => name.endsWith('.json') && !name.endsWith('latest.json'),
  );
  if (names.length === 0)
    throw new UsageError(
      `There is nothing to publish in ${directory}: run with --json ${directory}/scenarios.json, or name files by --from.`,
    );
  return names.map((name) => path.join(directory, name));
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
