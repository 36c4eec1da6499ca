// docs/existing-api.md: what its tables say, of its own samples.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Pawl } from '@pawl/core';
import express, { type RequestHandler } from 'express';
import request from 'supertest';
import { afterEach, expect, test } from 'vitest';
import { samplesIn } from './samples.ts';
import { charges, orders } from './surroundings/your-shop.ts';

const { sample, run, sql, atEnd } = samplesIn('docs/existing-api.md');

afterEach(() => {
  orders.length = 0;
  charges.length = 0;
});

const servers = [
  ['Express', 'import express from'],
  ['Koa', 'new Koa()'],
] as const;

for (const [framework, has] of servers)
  test(`one line on a route of ${framework} does what the table says`, async () => {
    const code = sample(has, { 'listen(3000)': "listen(0, '127.0.0.1')" });
    const { server, pawl } = await run<{ server: Server; pawl: Pawl }>(framework.toLowerCase(), code);
    atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
    atEnd(() => new Promise((resolve) => server.close(resolve)));
    const order = (user: string, item: string, key = 'key') =>
      request(server).post('/orders').set('x-user', user).set('Idempotency-Key', key).send({ item });

    const first = await order('ada', 'cup').expect(201);
    expect(first.headers['idempotent-replayed']).toBeUndefined();
    const again = await order('ada', 'cup').expect(201);
    expect(again.text).toBe(first.text);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(again.headers['location']).toBe(first.headers['location']);
    expect((await order('ada', 'mug').expect(422)).body.code).toBe('idempotency-key-reused');
    expect((await order('bob', 'mug').expect(201)).body).toEqual({ id: 2, user: 'bob', item: 'mug' });
    await request(server).post('/orders').set('x-user', 'ada').send({ item: 'cup' }).expect(400);
    await request(server).post('/orders').set('Idempotency-Key', 'key').send({ item: 'cup' }).expect(401);
    expect(orders).toHaveLength(2);
    await order('eve', 'soup').expect(500);
    orders.push({ id: 3, user: '', item: '' });
    await order('eve', 'soup').expect(500);
  });

test('the client asks until it has an answer, with one key', async () => {
  const { order } = await run<{ order: (url: string, item: string) => Promise<Response> }>(
    'client',
    sample('export async function order'),
  );
  const keys: (string | undefined)[] = [];
  const app = express();
  app.post('/orders', (req, res) => {
    keys.push(req.get('idempotency-key'));
    if (keys.length === 1) res.socket?.destroy();
    else if (keys.length === 2) res.status(503).set('Retry-After', '0').end();
    else if (keys.length === 3) res.status(409).type('application/problem+json').send({ retryable: true });
    else res.status(201).json({ ordered: true });
  });
  const server = app.listen(0, '127.0.0.1');
  atEnd(() => new Promise((resolve) => server.close(resolve)));
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const answer = await order(`http://127.0.0.1:${port}/orders`, 'cup');
  expect(answer.status).toBe(201);
  expect(keys).toHaveLength(4);
  expect(new Set(keys).size).toBe(1);
});

test('a second run of the handler finds the workflow that the first one started', async () => {
  const code = sample('export function payHandler');
  const { payHandler } = await run<{ payHandler: (pawl: Pawl) => RequestHandler }>(
    'pay',
    code,
    'CREATE TABLE receipts (item text, receipt text)',
  );
  const [{ Pawl: PawlClass }, { pawlExpress, CORS_REQUEST_HEADERS }] = await Promise.all([
    import('@pawl/core'),
    import('@pawl/express'),
  ]);
  const pawl = new PawlClass();
  const app = express();
  const http = pawlExpress(pawl, { scope: 'global' });
  const handler = payHandler(pawl);
  let runs = 0;
  const twice: RequestHandler = async (req, res, next) => {
    let body: unknown;
    await handler(req, { status: () => ({ json: (value: unknown) => (body = value) }) } as never, next);
    runs += 1;
    res.status(runs === 1 ? 503 : 201).json(body);
  };
  app.post('/pay', express.json(), http.idempotent(), twice);
  await pawl.launch();
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
  const pay = () => request(app).post('/pay').set('Idempotency-Key', 'k').send({ item: 'cup' });
  await pay().expect(503);
  expect((await pay().expect(201)).body).toEqual({ receipt: 'receipt for one cup' });
  expect(runs).toBe(2);
  expect(charges).toHaveLength(1);
  expect(await sql('SELECT * FROM receipts')).toEqual([{ item: 'cup', receipt: 'receipt for one cup' }]);
  const { corsOptions } = await run<{ corsOptions: { allowedHeaders: string[] } }>(
    'cors',
    sample('corsOptions'),
  );
  expect(corsOptions.allowedHeaders).toEqual(CORS_REQUEST_HEADERS);
});
