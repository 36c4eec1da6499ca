// Which statements cost more in full tables: the server's own account of every one of them (pg_stat_statements, those inside
// functions too) while the same load runs on an empty schema and on a full one in the same database, in turn.
import { setTimeout as delay } from 'node:timers/promises';
import { copyWorkflow } from '@pawl/test-support';
import { withClient, withFreshDatabase } from '../database.ts';
import type { StatementsOptions } from '../options.ts';
import { progress } from '../progress.ts';
import type { StatementCost, StatementsResults } from '../results.ts';
import { addCost, beginAccount, type Cost, openAccount, readCosts } from './costs.ts';
import { launchMixed, type MixedApp } from './mixed-pawl.ts';

const tables = ['empty', 'full'] as const;
type Tables = (typeof tables)[number];
const schemaOf = (which: Tables): string => `bench_${which}`;
/** How many are under way, and how many rounds of everything that makes. */
const loads = [
  { concurrency: 1, rounds: 100 },
  { concurrency: 100, rounds: 2_000 },
  { concurrency: 1_000, rounds: 4_000 },
];
export const turns = 3;
/** Fewer say nothing. */
const leastCalls = 20;

export function compareStatements(
  serverUrl: string,
  rows: StatementsOptions['rows'],
): Promise<StatementsResults> {
  return withFreshDatabase(serverUrl, async (url) => {
    await openAccount(url);
    const apps = {
      empty: await launchMixed(url, schemaOf('empty')),
      full: await launchMixed(url, schemaOf('full')),
    };
    try {
      progress(
        `filling: ${Object.entries(rows)
          .map(([what, count]) => `${count.toLocaleString('en-US')} ${what}`)
          .join(', ')}`,
      );
      await fill(url, apps.full, rows);
      const measured: StatementsResults['loads'][number][] = [];
      for (const load of loads) measured.push(await compareUnder(url, apps, load));
      return { rows, loads: measured };
    } finally {
      await Promise.all([apps.empty.close(), apps.full.close()]);
    }
  });
}

/** Copies of what the engine wrote, with ids all over the index. */
async function fill(url: string, app: MixedApp, rows: StatementsOptions['rows']): Promise<void> {
  const examples = await app.examples();
  await withClient(url, async (client) => {
    const isParked = async (): Promise<boolean> => {
      const text = `select from ${schemaOf('full')}.workflow where id = $1 and owner is null`;
      return (await client.query(text, [examples.parked])).rowCount === 1;
    };
    while (!(await isParked())) await delay(20);
    for (const kind of ['finished', 'parked', 'queued'] as const) {
      const count = rows[kind];
      const idOf = `lpad(to_hex((n::bigint << 32) / ${count + 1}), 8, '0') || substr(md5('${kind}' || n)::uuid::text, 9)`;
      await copyWorkflow((text) => client.query(text), {
        schema: schemaOf('full'),
        from: examples[kind],
        idOf,
        count,
      });
    }
    await client.query('vacuum (analyze)');
    await client.query('checkpoint');
  });
}

async function compareUnder(
  url: string,
  apps: Readonly<Record<Tables, MixedApp>>,
  { concurrency, rounds }: (typeof loads)[number],
): Promise<StatementsResults['loads'][number]> {
  const found: Record<Tables, Map<string, Cost>> = { empty: new Map(), full: new Map() };
  let n = concurrency * 1_000_000;
  const run = async (which: Tables, count: number): Promise<void> => {
    let left = count;
    const lane = async (): Promise<void> => {
      while (left-- > 0) await apps[which].run(n++);
    };
    await Promise.all(Array.from({ length: concurrency }, lane));
  };
  for (const which of tables) await run(which, rounds / 2);
  for (let turn = 0; turn < turns; turn++) {
    // Each begins as often as the other.
    for (const which of turn % 2 === 0 ? tables : tables.toReversed()) {
      await beginAccount(url);
      await run(which, rounds);
      for (const [text, cost] of await readCosts(url, schemaOf(which))) addCost(found[which], text, cost);
    }
    progress(`  ${concurrency.toLocaleString('en-US')} at once: turn ${turn + 1} of ${turns}`);
  }
  const statements = [...found.full].flatMap(([text, full]): StatementCost[] => {
    const empty = found.empty.get(text);
    if (empty === undefined || Math.min(empty.calls, full.calls) < leastCalls) return [];
    const { isCall } = full;
    return [{ text, isCall, totalMs: full.ms, empty: perCall(empty), full: perCall(full) }];
  });
  return { concurrency, statements: statements.sort((a, b) => b.totalMs - a.totalMs) };
}

function perCall({ calls, ms, blocks }: Cost): StatementCost['full'] {
  return { calls, micros: (ms * 1000) / calls, blocks: blocks / calls };
}
