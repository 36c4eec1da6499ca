// One id, many processes: one run.
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWorkers, type Workers } from './workers.ts';

let database: TestDatabase;
let workers: Workers;

beforeAll(async () => {
  database = await createDatabase();
  workers = createWorkers(database.url);
});

afterAll(async () => {
  await workers.end();
  await database.drop();
});

test('an id that three processes start a hundred times at once runs once, and all get its result', async () => {
  const three = await Promise.all([workers.start(), workers.start(), workers.start()]);
  const shares = [34, 33, 33].map((times, i) =>
    (three[i] as (typeof three)[0]).call('startAtOnce', times, 'one', 'shared', { from: i }),
  );
  const results = (await Promise.all(shares)).flatMap((set) => [...set]);
  expect(workers.notes('shared', 'only')).toHaveLength(1);
  const distinct = new Set(results.map((result) => JSON.stringify(result)));
  expect(distinct.size).toBe(1);
});
