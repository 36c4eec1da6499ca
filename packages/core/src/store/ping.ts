// Owns the shortest question to a database: are you there.
import type { Queryable } from './database.ts';

/** Rejects if the database cannot be reached. */
export async function ping(database: Queryable): Promise<void> {
  await database.query('SELECT 1');
}
