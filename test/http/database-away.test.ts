// What clients see while Postgres is away, and what becomes of requests that were under way.
import type { Server } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { Pawl } from '@pawl/core';
import { verify } from '@pawl/core/http';
import { type PostgresServer, startPostgres } from '@pawl/test-support';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gate } from './app-under-test.ts';
import { type Framework, frameworks } from './frameworks.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe('while the database is away', () => {
  let postgres: PostgresServer;
  let pawl: Pawl;
  const servers: Server[] = [];
  beforeAll(async () => {
    postgres = await startPostgres();
    pawl = await new Pawl({ database: postgres.url, logger: silent }).launch();
  });
  afterAll(async () => {
    for (const server of servers) server.close();
    await pawl.shutdown({ graceSeconds: 0 });
    await postgres[Symbol.asyncDispose]();
  });

  /** One framework's routes, and what became of them. All share the Pawl, and the trouble. */
  function serve(framework: Framework) {
    const hold = gate();
    const counts = { runs: 0 };
    const buy = pawl.registerWorkflow(async () => (counts.runs += 1), { name: `buy on ${framework.name}` });
    const server = framework.serve(pawl, { scope: () => framework.name }, (app) => {
      app.idempotent('/things', {}, async () => {
        counts.runs += 1;
        await hold.opened;
        return { status: 201, json: { done: true } };
      });
      app.endpoint('/orders', buy);
      app.webhook('/hooks', {
        name: framework.name,
        verify: verify.unsafeNone(),
        route: () => ({ workflowID: 'w', topic: 't' }),
      });
      app.hooks('/answers');
      app.workflows('/workflows', { authorize: () => true });
      app.health('/health');
    });
    servers.push(server.listen(0, '127.0.0.1'));
    const post = (path: string, key: string) =>
      request(server).post(path).set('Idempotency-Key', key).send({});
    const get = (path: string) => request(server).get(path);
    return { hold, counts, post, get };
  }

  test('503 within three seconds without running anything, and all goes on when it is back', async () => {
    const all = frameworks.map(serve);
    const each = <T>(ask: (one: ReturnType<typeof serve>) => Promise<T>): Promise<T[]> =>
      Promise.all(all.map(ask));

    const underWay = await each(async ({ get, post, counts }) => {
      await get('/health/ready').expect(200);
      const asked = post('/things', 'under-way').then((response) => response);
      await expect.poll(() => counts.runs).toBe(1);
      return { asked };
    });

    await postgres.stop();
    for (const path of ['/things', '/orders', '/hooks', '/answers/token']) {
      await each(async ({ post }) => {
        const started = performance.now();
        const refused = await post(path, `of:${path}`);
        expect([path, refused.status, refused.body.code]).toEqual([path, 503, 'database-unavailable']);
        expect(refused.body.retryable).toBe(true);
        expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
        // Within three seconds, on a machine that has nothing else to do.
        expect(performance.now() - started).toBeLessThan(process.env['TIMES'] === 'strict' ? 3_000 : 6_000);
      });
    }
    await each(async ({ get, hold, counts }) => {
      await get('/workflows/x').expect(503);
      await get('/health/ready').expect(503);
      await get('/health/live').expect(200);
      expect(counts.runs).toBe(1);
      hold.open();
    });
    for (const { asked } of underWay) {
      const sent = await asked;
      expect([sent.status, sent.headers['idempotency-stored']]).toEqual([201, 'false']);
    }

    await postgres.start();
    await each(async ({ get, post, counts }) => {
      await expect.poll(async () => (await get('/health/ready')).status).toBe(200);
      // What could not be recorded then is recorded now: the handler does not run again.
      let again = await post('/things', 'under-way');
      for (; again.status !== 201; again = await post('/things', 'under-way')) {
        expect(again.status).toBe(409);
        await pause(100);
      }
      expect(again.headers['idempotent-replayed']).toBe('true');
      expect(counts.runs).toBe(1);
      await post('/things', 'of:/things').expect(201);
      await post('/orders', 'of:/orders').expect(200);
      expect(counts.runs).toBe(3);
    });
  });
});
