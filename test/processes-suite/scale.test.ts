// Many workflows, in small: what must not grow with them. As large as it was promised with PAWL_SCALE=full, which takes
// some minutes; the benchmark (B8, B10) runs the first two at that size, too.
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { endurance, sleepers, takeover } from '@pawl/test-support/scale';
import { afterEach, beforeEach, expect, test } from 'vitest';

const full = process.env['PAWL_SCALE'] === 'full';
const execArgv = ['--conditions=@pawl/source'];
const LIMIT = full ? 900_000 : 60_000;

let database: TestDatabase;

beforeEach(async () => {
  database = await createDatabase();
});

afterEach(() => database.drop());

test(
  'workflows that sleep take no memory and no statements, and go on when their time or a message comes',
  async () => {
    const figures = await sleepers({
      databaseURL: database.url,
      execArgv,
      ...(full
        ? { real: 20_000, copied: 1_000_000, due: 10_000, idleSeconds: 10, messages: 30 }
        : { real: 400, copied: 10_000, due: 500, idleSeconds: 2, messages: 10 }),
    });
    console.log('sleepers', figures);
    expect(figures.heapGrowthMB).toBeLessThan(full ? 20 : 5);
    expect(figures.statementsPerSecond).toBeLessThan(3.5);
    expect(figures.resumedSeconds).toBeLessThan(5);
    expect(figures.messageP50Ms).toBeLessThan(50);
  },
  LIMIT,
);

test(
  'all that a killed process ran goes on at a peer, each once',
  async () => {
    const figures = await takeover({ databaseURL: database.url, execArgv, workflows: full ? 10_000 : 1000 });
    console.log('takeover', figures);
    expect(figures.firstSeconds).toBeLessThan(1.5);
    expect(figures.lastSeconds).toBeLessThan(20);
  },
  LIMIT,
);

test(
  'many thousand workflows leave memory and connections where they were',
  async () => {
    const figures = await endurance({
      databaseURL: database.url,
      execArgv,
      first: 2000,
      workflows: full ? 500_000 : 10_000,
    });
    console.log('endurance', figures);
    expect(figures.heapGrowthMB).toBeLessThan(3);
    expect(figures.connectionGrowth).toBeLessThanOrEqual(0);
  },
  LIMIT,
);
