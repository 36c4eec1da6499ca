// The server that a run measures on: one that runs already, or one started for it.
import { startPostgres } from '@pawl/test-support';

/** Default settings, fsync included; the test support's own defaults are faster and not durable. */
export const durable = { fsync: 'on', full_page_writes: 'on', max_connections: '100' };

export async function openServer(database: string | undefined): Promise<{ url: string } & AsyncDisposable> {
  if (database !== undefined) return { url: database, [Symbol.asyncDispose]: async () => {} };
  return startPostgres(durable);
}
