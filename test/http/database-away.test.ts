// What clients see while Postgres is away, and what becomes of requests that were under way.
import { setTimeout as pause } from 'node:timers/promises';
import { Pawl } from '@pawl/core';
import { verify } from '@pawl/core/http';
import { type PostgresServer, startPostgres } from '@pawl/test-support';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gate } from './app-under-test.ts';
import { frameworks } from './frameworks.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

describe.each(frameworks)('while the database is away, $name', (framework) => {
  let postgres: PostgresServer;
  let pawl: Pawl;
  beforeAll(async () => {
    postgres = await startPostgres();
    pawl = await new Pawl({ database: postgres.url, logger: silent }).launch();
  });
  afterAll(async () => {
    await pawl.shutdown({ graceSeconds: 0 });
    await postgres[Symbol.asyncDispose]();
  });

  test('answers 503 within three seconds without running anything, and goes on when it is back', async () => {
    let runs = 0;
    const hold = gate();
    const buy = pawl.registerWorkflow(async () => (runs += 1), { name: 'buy' });
    const server = framework.serve(pawl, { scope: 'global' }, (app) => {
      app.idempotent('/things', {}, async () => {
        runs += 1;
        await hold.opened;
        return { status: 201, json: { done: true } };
      });
      app.endpoint('/orders', buy);
      app.webhook('/hooks', {
        name: 'x',
        verify: verify.unsafeNone(),
        route: () => ({ workflowID: 'w', topic: 't' }),
      });
      app.workflows('/workflows', { authorize: () => true });
      app.health('/health');
    });
    server.listen(0, '127.0.0.1');
    const post = (path: string, key: string) =>
      request(server).post(path).set('Idempotency-Key', key).send({});
    await request(server).get('/health/ready').expect(200);
    const underWay = post('/things', 'under-way').then((response) => response);
    await pause(300);
    expect(runs).toBe(1);

    await postgres.stop();
    for (const [path, key] of [
      ['/things', 'k1'],
      ['/orders', 'k2'],
      ['/hooks', 'k3'],
    ] as const) {
      const started = performance.now();
      const refused = await post(path, key);
      expect([path, refused.status, refused.body.code]).toEqual([path, 503, 'database-unavailable']);
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      expect(performance.now() - started).toBeLessThan(3_000);
    }
    await request(server).get('/workflows/x').expect(503);
    await request(server).get('/health/ready').expect(503);
    await request(server).get('/health/live').expect(200);
    expect(runs).toBe(1);

    hold.open();
    const sent = await underWay;
    expect(sent.status).toBe(201);
    expect(sent.headers['idempotency-stored']).toBe('false');

    await postgres.start();
    for (let tries = 0; (await request(server).get('/health/ready')).status !== 200; tries += 1) {
      expect(tries).toBeLessThan(100);
      await pause(100);
    }
    // What could not be recorded then is recorded now: the handler does not run again.
    for (let tries = 0; ; tries += 1) {
      const again = await post('/things', 'under-way');
      if (again.status === 201) {
        expect(again.headers['idempotent-replayed']).toBe('true');
        break;
      }
      expect(again.status).toBe(409);
      expect(tries).toBeLessThan(100);
      await pause(100);
    }
    expect(runs).toBe(1);
    await post('/things', 'k1').expect(201);
    await post('/orders', 'k2').expect(200);
    expect(runs).toBe(3);
    server.close();
  });
});
