// The server's own account of every statement, those inside functions too (pg_stat_statements), and a server that keeps it.
import { startPostgres } from '@pawl/test-support';
import { withClient } from '../database.ts';
import { durable } from '../server.ts';

export interface Cost {
  /** The client sent it; otherwise it was inside a function. */
  isCall: boolean;
  calls: number;
  /** From the first row to the last, waits included, the commit not. */
  ms: number;
  blocks: number;
}

export function startCountingServer(): ReturnType<typeof startPostgres> {
  return startPostgres({
    ...durable,
    shared_preload_libraries: 'pg_stat_statements',
    'pg_stat_statements.track': 'all',
    'pg_stat_statements.max': '10000',
    max_wal_size: '4GB',
  });
}

export async function openAccount(url: string): Promise<void> {
  await withClient(url, (client) => client.query('create extension pg_stat_statements'));
}

export async function beginAccount(url: string): Promise<void> {
  await withClient(url, (client) => client.query('checkpoint; select pg_stat_statements_reset()'));
}

/**
 * Of statements in this database that name `schema`, or with `others` of all: by what is called, or by the text, with one name
 * for all schemas.
 */
export async function readCosts(
  url: string,
  schema: string,
  { others = false } = {},
): Promise<Map<string, Cost>> {
  const { rows } = await withClient(url, (client) =>
    client.query<Cost & { query: string }>(
      `select query, toplevel as "isCall", calls::float8, total_exec_time as ms,
              (shared_blks_hit + shared_blks_read)::float8 as blocks
       from pg_stat_statements
       where dbid = (select oid from pg_database where datname = current_database()) and ($2 or query ~ $1)`,
      [`\\m"?${schema}"?\\.`, others],
    ),
  );
  const costs = new Map<string, Cost>();
  for (const { query, ...cost } of rows) {
    const text = query.replaceAll(new RegExp(`"?\\b${schema}"?\\.`, 'g'), 'pawl.').replaceAll(/\s+/g, ' ');
    // Statements of the client that are no call, such as lists, by their table.
    const [, called, table] = /^SELECT (?:[\w, *]+ FROM )?pawl\.(\w+)\(|FROM pawl\.(\w+)/.exec(text) ?? [];
    const call = called ?? (table === undefined ? text : `rows of ${table}`);
    addCost(costs, cost.isCall ? call : text, cost);
  }
  return costs;
}

export function addCost(costs: Map<string, Cost>, text: string, { isCall, calls, ms, blocks }: Cost): void {
  const sum = costs.get(text) ?? { isCall, calls: 0, ms: 0, blocks: 0 };
  costs.set(text, { isCall, calls: sum.calls + calls, ms: sum.ms + ms, blocks: sum.blocks + blocks });
}
