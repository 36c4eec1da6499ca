// From turns to tables: medians per contender, ratios per round, targets met or missed. Pure functions.
import type { Contender, Figures, Scenario, Target } from './contract.ts';
import { median } from './measure.ts';
import type { ScenarioResults } from './results.ts';

/** The turns of one scenario: for each round, what each contender reached. */
export interface ScenarioTurns {
  scenario: Scenario;
  rounds: ReadonlyMap<Contender, Figures>[];
  failures: { contender: Contender; message: string }[];
}

export interface Comparison {
  scenario: string;
  figure: string;
  against: Contender | null;
  ours: number | null;
  alternative: number | null;
  /** Median over the rounds, and the least and the greatest of them. */
  ratio: number | null;
  least: number | null;
  greatest: number | null;
  target: string;
  verdict: 'met' | 'missed' | 'failed' | 'not measured';
}

/** How the message begins of a turn for which there was no time. */
export const notMeasured = 'Not measured';

/**
 * The ratio is the median of the rounds' ratios and not the ratio of the medians: the machine drifts by more
 * between rounds than within one.
 */
function compare({ scenario, rounds, failures }: ScenarioTurns): Comparison[] {
  const failed = failures.some(
    ({ contender, message }) => contender === 'pawl' && !message.startsWith(notMeasured),
  );
  return scenario.targets.map((target) => {
    const figureOf = (round: ReadonlyMap<Contender, Figures>, contender: Contender): number | undefined =>
      round.get(contender)?.[target.figure];
    const pairs = rounds.flatMap((round) => {
      const ours = figureOf(round, 'pawl');
      const theirs = target.against === null ? 1 : figureOf(round, target.against);
      return ours === undefined || theirs === undefined ? [] : [{ ours, theirs }];
    });
    const ratios = pairs.map(({ ours, theirs }) => ours / theirs);
    const ratio = ratios.length === 0 ? null : median(ratios);
    const middle = (contender: Contender): number | null => {
      const values = rounds.flatMap((round) => figureOf(round, contender) ?? []);
      return values.length === 0 ? null : median(values);
    };
    return {
      scenario: scenario.id,
      figure: target.figure,
      against: target.against,
      ours: middle('pawl'),
      alternative: target.against === null ? null : middle(target.against),
      ratio,
      least: ratio === null ? null : Math.min(...ratios),
      greatest: ratio === null ? null : Math.max(...ratios),
      target: boundText(target.bound),
      verdict: verdictOf(ratio, target, failed),
    };
  });
}

function verdictOf(ratio: number | null, { bound }: Target, failed: boolean): Comparison['verdict'] {
  if (failed) return 'failed';
  if (ratio === null) return 'not measured';
  return meets(ratio, bound) ? 'met' : 'missed';
}

/** Median of every figure over the rounds, per contender. */
function summarize({ rounds }: ScenarioTurns): Map<Contender, Figures> {
  const contenders = new Set(rounds.flatMap((round) => [...round.keys()]));
  return new Map(
    [...contenders].map((contender) => [
      contender,
      medians(rounds.map((round) => round.get(contender)).filter((figures) => figures !== undefined)),
    ]),
  );
}

/** Of each figure apart. */
export function medians(turns: readonly Figures[]): Figures {
  const names = Object.keys(turns[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, median(turns.map((turn) => turn[name] ?? NaN))]));
}

/** As they go into the JSON. */
export function resultsOf(turns: ScenarioTurns): ScenarioResults {
  const { id, title, unit, bareUnit = unit } = turns.scenario;
  return {
    id,
    title,
    unit,
    bareUnit,
    medians: Object.fromEntries(summarize(turns)),
    comparisons: compare(turns),
    rounds: turns.rounds.map((round) => Object.fromEntries(round)),
    failures: turns.failures,
  };
}

export function renderFigures(all: readonly ScenarioTurns[]): string {
  const rows = all.flatMap((turns) =>
    [...summarize(turns)].map(([contender, figures]) => [
      turns.scenario.id,
      turns.scenario.title,
      contender,
      `${digits(figures['perSecond'])} ${unitOf(turns.scenario, contender)}`,
      `${digits(figures['p50Ms'])} ms`,
      `${digits(figures['p99Ms'])} ms`,
      `${digits(figures['clientCpuMicrosPerUnit'])} + ${digits(figures['serverCpuMicrosPerUnit'])} µs`,
      spread(turns.rounds.flatMap((round) => round.get(contender)?.['perSecond'] ?? [])),
    ]),
  );
  return table(
    ['', 'scenario', 'contender', 'rate', 'p50', 'p99', 'CPU per unit (client + server)', 'spread'],
    rows,
  );
}

export function renderComparisons(all: readonly ScenarioTurns[]): string {
  const rows = all.flatMap((turns) =>
    compare(turns).map((row) => [
      row.scenario,
      row.figure,
      digits(row.ours),
      row.against ?? '',
      digits(row.alternative),
      digits(row.ratio),
      row.target,
      row.verdict,
    ]),
  );
  return table(['', 'figure', 'ours', 'against', 'alternative', 'ratio', 'target', ''], rows);
}

export function unitOf({ unit, bareUnit = unit }: Scenario, contender: Contender): string {
  return contender === 'bare' ? bareUnit : unit;
}

function meets(ratio: number, bound: Target['bound']): boolean {
  return 'atLeast' in bound ? ratio >= bound.atLeast : ratio <= bound.atMost;
}

function boundText(bound: Target['bound']): string {
  return 'atLeast' in bound ? `at least ${bound.atLeast}` : `at most ${bound.atMost}`;
}

export function digits(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '-';
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

/** How far the rounds lie apart, in percent of their median: whether the figures can be trusted. */
function spread(values: readonly number[]): string {
  if (values.length < 2) return '-';
  return `${Math.round((100 * (Math.max(...values) - Math.min(...values))) / median(values))}%`;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
