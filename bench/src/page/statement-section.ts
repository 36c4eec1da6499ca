// The part of the page about single statements: what each call costs in empty and in full tables, and which grew.
import type { StatementsResults } from '../results.ts';
import { callHead, callRows, grownHead, grownRows } from '../statements/grown.ts';
import { commands, markdownTable, paragraph } from './markdown.ts';

export function statementSection(results: StatementsResults | undefined): string[] {
  if (results === undefined) return [];
  const { rows } = results;
  const count = (n: number): string => n.toLocaleString('en-US');
  const seen = new Set(results.loads.flatMap(({ statements }) => statements.map(({ text }) => text)));
  const grown = grownRows(results);
  return [
    '## What each statement costs',
    paragraph(
      'The server keeps account of every statement, those inside functions too ([pg_stat_statements](https://www.postgresql.org/docs/18/pgstatstatements.html) with `track = all`), while the same ' +
        'mixed load runs on empty tables and on full ones in the same database, in turn: steps, messages, events, streams, children, ' +
        'sleeps, queues with and without a limit, idempotent requests, starts that are repeated. The full tables hold ' +
        `${count(rows.finished)} finished workflows with their steps, ${count(rows.parked)} parked and ${count(rows.queued)} queued ones. ` +
        'Mean time of a call and pages that it looked at, empty → full; the more are under way, the more operations a call has.',
    ),
    markdownTable(callHead(results), callRows(results)),
    paragraph(
      `Of the ${seen.size} statements, those inside functions included, these took a fifth longer in full tables, and looked at a fifth more pages, in any of the ` +
        'loads. An index with a thousand times as many entries is one or two levels deeper, and each level is a page more for each probe; ' +
        'a statement whose pages grow with the rows would have thousands here.',
    ),
    grown.length === 0 ? 'None.' : markdownTable(grownHead, grown),
    commands('npx pnpm bench statements'),
  ];
}
