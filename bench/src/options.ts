// The command line: what can be asked of a run, with its defaults. Bad input ends the program with one line.
import { parseArgs } from 'node:util';
import { alternatives, type Contender, type Scenario } from './contract.ts';

export interface Options {
  scenarios: readonly Scenario[];
  contenders: readonly Contender[];
  /** A server to use, or undefined to start one. */
  database: string | undefined;
  rounds: number;
  seconds: number;
  warmupSeconds: number;
  budgetSeconds: number;
  json: string;
  cpuProfiles: string | undefined;
}

export const usage = `pnpm bench [options]
  --scenario B1,B3     scenarios to run (default: all); B11 means all whose names begin so
  --peer dbos,bare     what to compare with (default: all alternatives; absurd only if ABSURD_SQL names its absurd.sql)
  --only-peers         leave Pawl out
  --database URL|env   a server that runs already, or the one in DATABASE_URL (default: starts one for the run)
  --rounds N           each round gives every contender a turn; ratios are medians over rounds (default 3)
  --seconds N          measured time of a turn, about (default 4)
  --warmup N           seconds of load before each measurement (default 2)
  --budget N           minutes after which no further turn begins (default 45)
  --json FILE          where the figures go (default results/latest.json)
  --cpu-prof DIR       write a CPU profile of every turn of Pawl`;

export function readOptions(args: readonly string[], all: readonly Scenario[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      scenario: { type: 'string' },
      peer: { type: 'string' },
      'only-peers': { type: 'boolean', default: false },
      database: { type: 'string' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '4' },
      warmup: { type: 'string', default: '2' },
      budget: { type: 'string', default: '45' },
      json: { type: 'string', default: 'results/latest.json' },
      'cpu-prof': { type: 'string' },
    },
  });
  const peers =
    values.peer === undefined
      ? alternatives.filter((peer) => peer !== 'absurd' || hasAbsurdSql())
      : pick(values.peer, alternatives, (peer) => peer, '--peer');
  if (peers.includes('absurd') && !hasAbsurdSql()) {
    throw new UsageError(
      '--peer absurd: its npm package does not hold its tables and functions. ' +
        'Set ABSURD_SQL to the path of the absurd.sql of the same release.',
    );
  }
  return {
    scenarios:
      values.scenario === undefined ? all : pick(values.scenario, all, (each) => each.id, '--scenario'),
    contenders: values['only-peers'] ? peers : ['pawl', ...peers],
    database: values.database === 'env' ? databaseFromEnvironment() : values.database,
    rounds: positive(values.rounds, '--rounds'),
    seconds: positive(values.seconds, '--seconds'),
    warmupSeconds: positive(values.warmup, '--warmup'),
    budgetSeconds: positive(values.budget, '--budget') * 60,
    json: values.json,
    cpuProfiles: values['cpu-prof'],
  };
}

/** An error of the person who called, shown without a stack. */
export class UsageError extends Error {}

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

function hasAbsurdSql(): boolean {
  return Boolean(process.env['ABSURD_SQL']);
}

function databaseFromEnvironment(): string {
  const url = process.env['DATABASE_URL'];
  if (!url) throw new UsageError('--database env: DATABASE_URL is not set.');
  return url;
}
