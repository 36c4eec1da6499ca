// What the pool prepares for idempotency records, and that it does without where others may have a say.
import { createDatabase, noPgBouncer, startPgBouncer } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database, Queryable } from './database.ts';
import { type HttpRequests, httpRequests } from './http-requests.ts';
import { migrate } from './migrate.ts';
import { openPgDatabase } from './pg-database.ts';

let url: string;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ url, drop } = await createDatabase());
});
afterAll(() => drop());

async function within(
  connection: string,
  body: (database: Database, requests: HttpRequests) => Promise<void>,
) {
  const database = openPgDatabase({ connection, schema: 'pawl', poolSize: 1, applicationName: 'test' });
  await migrate(database);
  const lane = database.lane('test');
  await lane.call('SELECT', []);
  try {
    await body(database, httpRequests(database));
  } finally {
    await lane.close();
    await database.close();
  }
}
const claimAndSettle = async (requests: HttpRequests, id: string) => {
  const owner = `owner of ${id}`;
  const [claimed] = await requests.claim([{ id, fingerprint: 'f', owner, leaseMs: null }]);
  const { generation = 0, attempt = 0 } = claimed ?? {};
  const answer = { status: 200, headers: '[]', body: Buffer.from(id) };
  const settlement = {
    id,
    owner,
    generation,
    attempt,
    state: 'done',
    retentionMs: 60_000,
    ...answer,
  } as const;
  expect(await requests.settle([settlement])).toEqual([{ kind: 'stored' }]);
};
const prepared = async (database: Queryable): Promise<unknown[]> =>
  (await database.query<{ name: string }>('SELECT name FROM pg_prepared_statements ORDER BY name')).rows.map(
    ({ name }) => name,
  );

test('claims and answers, once per connection; and again, after somebody dropped them', () =>
  within(url, async (database, requests) => {
    for (const id of ['a', 'b']) await claimAndSettle(requests, id);
    expect(await prepared(database)).toEqual(['pawl_http_claim', 'pawl_http_settle']);
    await database.transaction({}, (tx) => tx.query('DEALLOCATE ALL'));
    for (const id of ['c', 'd']) await claimAndSettle(requests, id);
  }));

test.skipIf(noPgBouncer !== undefined)('nothing behind a transaction pooler', async () => {
  const bouncer = await startPgBouncer();
  try {
    await within(bouncer.through(url), async (database, requests) => {
      expect(database.pooled).toBe(true);
      for (const id of ['e', 'f']) await claimAndSettle(requests, id);
      expect(await prepared(database)).toEqual([]);
    });
  } finally {
    await bouncer.stop();
  }
});
