// Clients of other libraries inside a transaction of the caller's, as one that queries.

import { ConfigurationError } from '../errors/index.ts';
import type { Queryable } from '../store/database.ts';

/** A transaction of the caller's: a `pg` client, a PGlite transaction, a postgres.js `sql` of `begin`. */
export type SqlClientLike =
  | { query(text: string, params?: unknown[]): Promise<{ rows: unknown[] }> }
  | { unsafe(text: string, params?: never[]): PromiseLike<unknown[]> };

/** Any of the known clients as one that queries. */
export function clientOf(client: SqlClientLike): Pick<Queryable, 'query'> {
  if ('query' in client && typeof client.query === 'function') {
    return { query: (text, params) => client.query(text, params as unknown[]) as never };
  }
  if ('unsafe' in client && typeof client.unsafe === 'function') {
    return {
      query: async (text, params) => {
        const rows = await client.unsafe(text, params as never[]);
        return { rows: [...rows] as never, rowCount: rows.length };
      },
    };
  }
  throw new ConfigurationError(
    'transaction must be a client inside a transaction: of pg, PGlite or postgres.js.',
  );
}
