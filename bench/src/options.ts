// The command line: what can be asked of a run, with its defaults. Bad input ends the program with one line.
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { alternatives, type Contender, type Scenario } from './contract.ts';
import type { Curve } from './growth/curve.ts';
import { absurdSchema, restateBinary } from './peers/installed-apart.ts';

/** What every command that measures can be asked. */
export interface RunOptions {
  /** A server to use, or undefined to start one. */
  database: string | undefined;
  rounds: number;
  seconds: number;
  warmupSeconds: number;
  budgetSeconds: number;
  json: string;
  cpuProfiles: string | undefined;
}

export interface Options extends RunOptions {
  scenarios: readonly Scenario[];
  contenders: readonly Contender[];
}

export interface GrowthOptions extends RunOptions {
  curves: readonly Curve[];
}

export interface StatementsOptions {
  /** How many rows the full tables get. */
  rows: { finished: number; parked: number; queued: number };
  json: string;
}

export interface ProfileOptions {
  scenarios: readonly Scenario[];
  seconds: number;
  warmupSeconds: number;
  json: string;
}

export interface PageOptions {
  /** Files with results, or undefined for all that are to be published. */
  from: readonly string[] | undefined;
  /** The directory of the page. */
  out: string;
}

export const usage = `pnpm bench [options]
  --scenario B1,B3     scenarios to run (default: all); B11 means all whose names begin so
  --peer dbos,bare     what to compare with (default: all alternatives; absurd only if ABSURD_SQL names its absurd.sql,
                       restate only if RESTATE_SERVER names its server)
  --only-peers         leave Pawl out
  --database URL|env   a server that runs already, or the one in DATABASE_URL (default: starts one for the run)
  --rounds N           each round gives every contender a turn; ratios are medians over rounds (default 3)
  --seconds N          measured time of a turn, about (default 4)
  --warmup N           seconds of load before each measurement (default 2)
  --budget N           minutes after which no further turn begins (default 90)
  --json FILE          where the figures go (default results/latest.json)
  --cpu-prof DIR       write a CPU profile of every turn of Pawl

pnpm bench growth [options]: how the cost of Pawl grows
  --curve steps,parked curves to measure (default: all)
  --up-to N            leave out the points above it, for a quick look
  --database, --rounds (3), --seconds (2), --warmup (1.5), --budget (90), --json (results/growth-latest.json) and
  --cpu-prof as above; a curve about rows in the tables has one round, with several pairs of turns inside

pnpm bench statements [options]: what every statement costs in empty and in full tables, on a server of its own
  --finished N, --parked N, --queued N  rows of the full tables (default 5000000, 1000000, 100000)
  --json FILE          default results/statements-latest.json

pnpm bench profile [options]: where Pawl's time goes in a scenario, by statement and by owner of the code, on a server of its own
  --scenario, --seconds (4), --warmup (4) as above; --json FILE (default results/profile-latest.json)

pnpm bench page [options]: writes the page in docs/ from results
  --from FILE,FILE     results to use; what several of them hold is taken from the newest
                       (default: results/*.json without those that end with latest.json)
  --out DIR            where the page goes, and its plots into benchmarks/ there (default ../docs)`;

export function readOptions(args: readonly string[], all: readonly Scenario[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      scenario: { type: 'string' },
      peer: { type: 'string' },
      'only-peers': { type: 'boolean', default: false },
      ...runOptions,
    },
  });
  const peers =
    values.peer === undefined
      ? alternatives.filter((peer) => obstacleTo(peer) === undefined)
      : pick(values.peer, alternatives, (peer) => peer, '--peer');
  for (const peer of peers) {
    const obstacle = obstacleTo(peer);
    if (obstacle !== undefined) throw new UsageError(`--peer ${peer}: ${obstacle}`);
  }
  return {
    scenarios: pickScenarios(values.scenario, all),
    contenders: values['only-peers'] ? peers : ['pawl', ...peers],
    ...readRunOptions(values, { seconds: '4', warmup: '2', json: 'results/latest.json' }),
  };
}

export function readGrowthOptions(args: readonly string[], all: readonly Curve[]): GrowthOptions {
  const { values } = parseArgs({
    args: [...args],
    options: { curve: { type: 'string' }, 'up-to': { type: 'string' }, ...runOptions },
  });
  const most = values['up-to'] === undefined ? Infinity : positive(values['up-to'], '--up-to');
  const curves = values.curve === undefined ? all : pick(values.curve, all, (each) => each.id, '--curve');
  return {
    curves: curves.map((curve) => ({ ...curve, points: curve.points.filter((x) => x <= most) })),
    ...readRunOptions(values, { seconds: '2', warmup: '1.5', json: 'results/growth-latest.json' }),
  };
}

export function readStatementsOptions(args: readonly string[]): StatementsOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      finished: { type: 'string', default: '5000000' },
      parked: { type: 'string', default: '1000000' },
      queued: { type: 'string', default: '100000' },
      json: { type: 'string', default: 'results/statements-latest.json' },
    },
  });
  const { finished, parked, queued, json } = values;
  return {
    rows: {
      finished: positive(finished, '--finished'),
      parked: positive(parked, '--parked'),
      queued: positive(queued, '--queued'),
    },
    json,
  };
}

export function readProfileOptions(args: readonly string[], all: readonly Scenario[]): ProfileOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      scenario: { type: 'string' },
      seconds: { type: 'string', default: '4' },
      warmup: { type: 'string', default: '4' },
      json: { type: 'string', default: 'results/profile-latest.json' },
    },
  });
  return {
    scenarios: pickScenarios(values.scenario, all),
    seconds: positive(values.seconds, '--seconds'),
    warmupSeconds: positive(values.warmup, '--warmup'),
    json: values.json,
  };
}

export function readPageOptions(args: readonly string[]): PageOptions {
  const { values } = parseArgs({
    args: [...args],
    options: { from: { type: 'string' }, out: { type: 'string', default: '../docs' } },
  });
  return { from: values.from?.split(',').map((file) => file.trim()), out: values.out };
}

const runOptions = {
  database: { type: 'string' },
  rounds: { type: 'string', default: '3' },
  seconds: { type: 'string' },
  warmup: { type: 'string' },
  budget: { type: 'string', default: '90' },
  json: { type: 'string' },
  'cpu-prof': { type: 'string' },
} as const;

interface RunValues {
  database?: string;
  rounds: string;
  seconds?: string;
  warmup?: string;
  budget: string;
  json?: string;
  'cpu-prof'?: string;
}

function readRunOptions(
  values: RunValues,
  defaults: { seconds: string; warmup: string; json: string },
): RunOptions {
  return {
    database: values.database === 'env' ? databaseFromEnvironment() : values.database,
    rounds: positive(values.rounds, '--rounds'),
    seconds: positive(values.seconds ?? defaults.seconds, '--seconds'),
    warmupSeconds: positive(values.warmup ?? defaults.warmup, '--warmup'),
    budgetSeconds: positive(values.budget, '--budget') * 60,
    json: values.json ?? defaults.json,
    cpuProfiles: values['cpu-prof'],
  };
}

/** An error of the person who called, shown without a stack. */
export class UsageError extends Error {}

function pickScenarios(list: string | undefined, all: readonly Scenario[]): readonly Scenario[] {
  return list === undefined ? all : pick(list, all, (each) => each.id, '--scenario');
}

function pick<T>(list: string, from: readonly T[], nameOf: (item: T) => string, option: string): T[] {
  return list.split(',').flatMap((name) => {
    const wanted = name.trim().toLowerCase();
    const found = from.filter((item) => `${nameOf(item).toLowerCase()}-`.startsWith(`${wanted}-`));
    if (found.length === 0) {
      throw new UsageError(
        `${option}: there is no ${name.trim()}; choose from ${from.map(nameOf).join(', ')}.`,
      );
    }
    return found;
  });
}

function positive(text: string, option: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value)))
    throw new UsageError(`${option}: ${text} is not a positive number.`);
  return value;
}

/** Why a contender cannot take part here, and what to do about it. */
function obstacleTo(contender: Contender): string | undefined {
  if (contender === 'absurd' && !process.env['ABSURD_SQL']) {
    return (
      'its npm package does not hold its tables and functions. ' +
      'Set ABSURD_SQL to the path of the absurd.sql of the same release.'
    );
  }
  if (contender === 'absurd' && !existsSync(absurdSchema()))
    return `there is no ${absurdSchema()}, which ABSURD_SQL names.`;
  if (contender === 'restate' && !existsSync(restateBinary() ?? '.')) {
    return `there is no ${restateBinary()}, which RESTATE_SERVER names.`;
  }
  if (contender === 'restate' && restateBinary() === undefined) {
    return 'its server is installed apart. Set RESTATE_SERVER to its path, as the README says.';
  }
  return undefined;
}

function databaseFromEnvironment(): string {
  const url = process.env['DATABASE_URL'];
  if (!url) throw new UsageError('--database env: DATABASE_URL is not set.');
  return url;
}
