// The part of the page about the scenarios: targets met or missed, and what every contender reached.
import type { Contender, Figures } from '../contract.ts';
import { digits } from '../report.ts';
import type { ProfileResults, ScenarioResults } from '../results.ts';
import { commands, markdownTable, paragraph } from './markdown.ts';
import { profileTable } from './profile-table.ts';

const names: Partial<Record<Contender, string>> = {
  pawl: 'Pawl',
  dbos: 'DBOS',
  restate: 'Restate',
  bare: 'bare Postgres',
};

export function scenarioSection(
  scenarios: readonly ScenarioResults[],
  held: ReadonlyMap<string, string>,
  profiles: ReadonlyMap<string, ProfileResults>,
): string[] {
  if (scenarios.length === 0) return [];
  return [
    '## Scenarios',
    paragraph(
      'What is promised, and whether it holds. A ratio is ours to theirs: above 1 is faster where it is a rate, and slower ' +
        'where it is a time. It is the median of the ratios within each round, so it is not exactly the quotient of the two ' +
        'columns before it; `rounds` has the least and the greatest, or the least of the pairs in one turn. "Bare Postgres" is plain SQL that writes the rows which any durable engine has to write, ' +
        'with nothing around it. How it is kept fair, and what each of the others was set up with, is in ' +
        '[bench/README.md](../bench/README.md).',
    ),
    targetTable(scenarios),
    'One scenario alone, and several:',
    commands('npx pnpm bench --scenario B3', 'npx pnpm bench --scenario B1,B2 --peer bare --rounds 1'),
    ...missedSection(scenarios, held, profiles),
    '### Everybody',
    paragraph(
      'Medians over the rounds. The CPU time per unit is that of the process which runs the workflows, and of the server; ' +
        'it moves less than a rate when somebody else uses the machine.',
    ),
    contenderTable(scenarios),
    ...failureList(scenarios),
  ];
}

function targetTable(scenarios: readonly ScenarioResults[]): string {
  const rows = scenarios.flatMap((scenario) =>
    scenario.comparisons.map(
      ({ figure, against, ours, alternative, ratio, least, greatest, target, verdict }) => {
        const unit = figureUnit(figure, scenario.unit);
        const theirUnit = figureUnit(figure, against === 'bare' ? scenario.bareUnit : scenario.unit);
        return [
          scenario.id,
          `${scenario.title}: ${figureName(figure)}`,
          withUnit(digits(ours), unit),
          against === null ? '' : nameOf(against),
          against === null ? '' : withUnit(digits(alternative), theirUnit),
          against === null ? '' : digits(ratio),
          typeof least === 'number' && least !== greatest
            ? `${digits(least)} to ${digits(greatest)}`
            : ofPairs(scenario.medians.pawl, figure),
          against === null ? withUnit(target, unit) : target,
          verdict === 'met' ? verdict : `**${verdict}**`,
        ];
      },
    ),
  );
  return markdownTable(
    ['', 'scenario', 'ours', 'against', 'alternative', 'ratio', 'rounds', 'target', ''],
    rows,
  );
}

/** Where one turn holds several pairs, it says the least of them. */
function ofPairs(ours: Figures | undefined, figure: string): string {
  const least = ours?.[`least${figure.charAt(0).toUpperCase()}${figure.slice(1)}`];
  return least === undefined ? '' : `from ${digits(least)}`;
}

function missedSection(
  scenarios: readonly ScenarioResults[],
  held: ReadonlyMap<string, string>,
  profiles: ReadonlyMap<string, ProfileResults>,
): string[] {
  const missed = scenarios.filter(({ comparisons }) =>
    comparisons.some(({ verdict }) => verdict === 'missed'),
  );
  const texts = new Map<string, string[]>();
  for (const { id } of missed) {
    const text = held.get(id) ?? '';
    texts.set(text, [...(texts.get(text) ?? []), id]);
  }
  texts.delete('');
  if (texts.size === 0) return [];
  return [
    '### What holds those that are missed',
    ...(missed.some(({ id }) => profiles.has(id))
      ? [
          paragraph(
            'The profiles are of further turns on a server that keeps account of every statement, those inside functions too; the mean ' +
              'time of a call is what passes from its beginning to its end, without the commit after it. What is inside may hold what is inside of it, and the shares of both. What takes less than a fiftieth is left out.',
          ),
        ]
      : []),
    ...[...texts].flatMap(([text, ids]) => [
      paragraph(`**${ids.join(', ')}.** ${text}`),
      ...ids.flatMap((id) => profiles.get(id) ?? []).map(profileTable),
    ]),
  ];
}

function contenderTable(scenarios: readonly ScenarioResults[]): string {
  const rows = scenarios.flatMap(({ id, title, unit, bareUnit, medians }) =>
    Object.entries(medians).map(([contender, figures], index) => [
      index === 0 ? id : '',
      index === 0 ? title : '',
      nameOf(contender as Contender),
      withUnit(digits(figures['perSecond']), contender === 'bare' ? bareUnit : unit),
      withUnit(digits(figures['p50Ms']), 'ms'),
      withUnit(digits(figures['p99Ms']), 'ms'),
      cpu(figures['clientCpuMicrosPerUnit'], figures['serverCpuMicrosPerUnit']),
    ]),
  );
  return markdownTable(
    ['', 'scenario', 'contender', 'rate', 'p50', 'p99', 'CPU per unit, client + server'],
    rows,
  );
}

function failureList(scenarios: readonly ScenarioResults[]): string[] {
  const failures = scenarios.flatMap(({ id, failures: all }) =>
    all.map(({ contender, message }) => `- ${id}, ${nameOf(contender)}: ${message.split('\n')[0] ?? ''}`),
  );
  return failures.length === 0 ? [] : ['What failed or was not measured:', failures.join('\n')];
}

function nameOf(contender: Contender): string {
  return names[contender] ?? contender;
}

function cpu(client: number | undefined, server: number | undefined): string {
  return client === undefined && server === undefined ? '' : `${digits(client)} + ${digits(server)} µs`;
}

function withUnit(value: string, unit: string): string {
  if (value === '-') return '';
  return unit === '' ? value : `${value} ${unit}`;
}

const units: readonly (readonly [suffix: RegExp, unit: string])[] = [
  [/PerSecond$/, '/s'],
  [/Seconds$/, 's'],
  [/Ms$/, 'ms'],
  [/MB$/, 'MB'],
];

function figureUnit(figure: string, rateUnit: string): string {
  if (figure === 'perSecond') return rateUnit;
  return units.find(([suffix]) => suffix.test(figure))?.[1] ?? '';
}

/** The name of a figure in words: heapGrowthMB is "heap growth". */
function figureName(figure: string): string {
  if (figure === 'perSecond') return 'rate';
  const suffix = units.find(([pattern]) => pattern.test(figure))?.[0];
  const bare = suffix === undefined ? figure : figure.replace(suffix, '');
  return bare.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase();
}
