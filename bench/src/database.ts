// Plain connections for the benchmark itself and for the checks that must not go through a contender.
import pg from 'pg';

export async function withClient<R>(url: string, use: (client: pg.Client) => Promise<R>): Promise<R> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** The same server, another database. */
function inDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

/**
 * Creates an empty database for one turn and drops it afterwards, so that no contender pays for rows that an
 * earlier one left behind. A checkpoint comes first: otherwise the turn in which the server happens to begin
 * one is slower than its neighbours. The role needs to be a superuser for that, or a member of pg_checkpoint.
 */
export async function withFreshDatabase<R>(serverUrl: string, use: (url: string) => Promise<R>): Promise<R> {
  const name = `pawl_bench_${process.pid}_${Date.now().toString(36)}`;
  try {
    await withClient(serverUrl, async (client) => {
      await client.query(`create database ${name}`);
      await client.query('checkpoint');
    });
    return await use(inDatabase(serverUrl, name));
  } finally {
    await withClient(serverUrl, (client) => client.query(`drop database if exists ${name} with (force)`));
  }
}
