// A process is killed in the middle of a request; the client sends the request again to the next one.
import { setTimeout as pause } from 'node:timers/promises';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Shop, shopProgram, type ShopProgram } from './shop-processes.ts';

describe.each(['express5', 'koa3'])('when the process dies, %s', (framework) => {
  let database: TestDatabase;
  let client: pg.Client;
  let program: ShopProgram;

  beforeAll(async () => {
    program = await shopProgram('shop.ts');
    database = await createDatabase();
    client = new pg.Client({ connectionString: database.url });
    client.on('error', () => undefined);
    await client.connect();
    await client.query('CREATE TABLE work (id integer GENERATED ALWAYS AS IDENTITY, what text)');
  });
  afterAll(async () => {
    program.killAll();
    await client.end();
    await database.drop();
  });

  const startShop = (): Promise<Shop> => program.start(framework, database.url);
  const count = async (what: string): Promise<number> => {
    const { rows } = await client.query<{ count: string }>('SELECT count(*) FROM work WHERE what = $1', [
      what,
    ]);
    return Number(rows[0]?.count);
  };
  /** How many of these steps are durable: what happens again after a crash is what is not. */
  const recorded = async (step: string): Promise<number> => {
    const { rows } = await client.query<{ count: string }>(
      'SELECT count(*) FROM pawl.step WHERE name = $1 AND completed_at IS NOT NULL',
      [step],
    );
    return Number(rows[0]?.count);
  };
  const post = (shop: Shop, path: string, key: string) =>
    request(shop.url).post(path).set('Idempotency-Key', key).send({ sku: 'cog' });

  test.each(['/orders', '/wrapped'])(
    '%s goes on elsewhere, does nothing twice, and answers with one body for ever',
    async (path) => {
      const charged = await count('charge');
      const shipped = await count('ship');
      const first = await startShop();
      const cut = post(first, path, 'k').then(
        (response) => response.status,
        () => 'cut',
      );
      await expect.poll(() => recorded('charge'), { interval: 10 }).toBe(charged + 1);
      await first.kill();
      expect(await cut).toBe('cut');

      const second = await startShop();
      let answer = await post(second, path, 'k').timeout(20_000);
      for (let tries = 0; answer.status === 409 && tries < 100; tries += 1) {
        expect(answer.body.code).toBe('request-in-flight');
        await pause(200);
        answer = await post(second, path, 'k').timeout(20_000);
      }
      expect(answer.status).toBe(201);
      expect(answer.body).toMatchObject({ charge: expect.any(Number), shipment: expect.any(Number) });
      expect(await count('charge')).toBe(charged + 1);
      expect(await count('ship')).toBe(shipped + 1);

      await second.kill();
      const third = await startShop();
      const again = await post(third, path, 'k').expect(201);
      expect(again.text).toBe(answer.text);
      expect(again.headers['idempotent-replayed']).toBe('true');
      await third.kill();
    },
  );
});
