// The load test that ships with the widget store, on both frameworks and both kinds of database.
import { createDatabase } from '@pawl/test-support';
import { expect, test } from 'vitest';
import { loadTest } from '../../examples/widget-store/src/load-test.ts';
import { startShop } from '../../examples/widget-store/src/start-shop.ts';

const shops = [
  // A restart of the embedded database takes seconds.
  { server: 'express', database: 'embedded', crashes: 3 },
  { server: 'koa', database: 'server', crashes: 5 },
] as const;

test.each(shops)(
  'on $server and $database Postgres, 50 clients that repeat themselves get one order each over $crashes crashes',
  { timeout: 180_000 },
  async ({ server, database, crashes }) => {
    const created = database === 'server' ? await createDatabase() : undefined;
    const shop = await startShop({
      server,
      ...(created ? { databaseURL: created.url } : {}),
      env: { STAGE_MILLISECONDS: '100' },
    });
    try {
      const result = await loadTest(shop, { clients: 50, crashes });
      expect(result).toMatchObject({ violations: [], crashes, paid: 40, cancelled: 10 });
    } finally {
      await shop.stop();
      await created?.drop();
    }
  },
);
