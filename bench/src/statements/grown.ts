// What the server's account of all statements says: a row for each call with what it costs under each load, and those whose
// mean time grew with the tables. Pure functions.
import { digits, table } from '../report.ts';
import type { StatementCost, StatementsResults } from '../results.ts';

/** Less is the noise of two runs; and what takes longer because of the tables looks at more pages, too. */
const share = 1.2;

function grew({ empty, full }: StatementCost): boolean {
  return full.micros > empty.micros * share && full.blocks > empty.blocks * share;
}

export const callHead = ({ loads }: StatementsResults): string[] => [
  'call',
  ...loads.flatMap(({ concurrency }) => [`${concurrency.toLocaleString('en-US')} at once, µs`, 'pages']),
];

/** Empty → full, in the order of the time that they take at the largest load. */
export function callRows({ loads }: StatementsResults): string[][] {
  const calls = new Map<string, true>();
  for (const { statements } of loads.toReversed())
    for (const { text, isCall } of statements) if (isCall) calls.set(text, true);
  return [...calls.keys()].map((call) => [
    call,
    ...loads.flatMap(({ statements }) => {
      const found = statements.find(({ text, isCall }) => isCall && text === call);
      if (found === undefined) return ['', ''];
      const { empty, full } = found;
      return [
        `${digits(empty.micros)} → ${digits(full.micros)}`,
        `${digits(empty.blocks)} → ${digits(full.blocks)}`,
      ];
    }),
  ]);
}

export function grownRows({ loads }: StatementsResults): string[][] {
  return loads.flatMap(({ concurrency, statements }) =>
    statements
      .filter(grew)
      .map(({ text, empty, full }) => [
        concurrency.toLocaleString('en-US'),
        text.slice(0, 160),
        `${digits(empty.micros)} → ${digits(full.micros)}`,
        `${digits(empty.blocks)} → ${digits(full.blocks)}`,
      ]),
  );
}

export const grownHead = ['at once', 'statement', 'µs', 'pages'];

export function renderStatements(results: StatementsResults): string {
  const seen = new Set(results.loads.flatMap(({ statements }) => statements.map(({ text }) => text)));
  return [
    table(callHead(results), callRows(results)),
    `Of ${seen.size} statements these take a fifth longer in full tables, and look at a fifth more pages:`,
    table(grownHead, grownRows(results)),
  ].join('\n\n');
}
