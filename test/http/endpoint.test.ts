// `http.endpoint()`: the route is the workflow. The same cases for Express and Koa.
import request from 'supertest';
import { beforeAll, expect, test } from 'vitest';
import type { Workflow } from '@pawl/core';
import type { WebhookOptions } from '@pawl/core/http';
import { internals } from '../../packages/core/src/app/internals.ts';
import { describeOnEach, gate } from './app-under-test.ts';

interface Order {
  readonly sku: string;
  readonly quantity?: number;
}

/** A schema as zod would make it, small enough to be written out. */
const orderSchema: NonNullable<WebhookOptions<Order>['schema']> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) =>
      typeof (value as Order | null)?.sku === 'string'
        ? { value: { quantity: 1, ...(value as Order) } }
        : { issues: [{ message: 'sku must be a string', path: ['sku'] }] },
  },
};

describeOnEach('endpoint', (app) => {
  const { newKey } = app;
  let runs = 0;
  let hold = gate();
  let buy: Workflow<[order: Order | undefined], { sku: string; run: number }>;
  let fail: Workflow<[properties: Record<string, unknown>], never>;
  let slow: Workflow<[order: Order], string>;
  let pay: Workflow<[order: Order], string>;
  const order = { sku: 'cog' };
  /** Requests that have joined a workflow and wait for its end. */
  const joined = () => internals(app.pawl).runtime.waiting;

  beforeAll(() => {
    const { pawl } = app;
    buy = app.register('buy', async (given: Order | undefined) => {
      const run = await pawl.runStep(() => (runs += 1), { name: 'count' });
      return { ...given, sku: given?.sku ?? 'none', run };
    });
    fail = app.register('fail', async (properties: Record<string, unknown>): Promise<never> => {
      await pawl.runStep(() => (runs += 1), { name: 'count' });
      throw Object.assign(new Error(String(properties['message'] ?? 'secret reason')), properties);
    });
    slow = app.register('slow', async () => {
      await pawl.runStep(() => hold.opened, { name: 'hold' });
      return 'done';
    });
    pay = app.register('pay', async (given: Order) => {
      if (given.sku === 'nothing') return 'nothing to pay';
      await pawl.setEvent('payment', { url: `/pay/${given.sku}` });
      await pawl.recv('paid', 600);
      await pawl.setEvent('payment', { url: 'paid' });
      return 'paid';
    });
  });

  test('answers with the result, and with the same bytes when the key comes again', async () => {
    app.serve((routes) => routes.endpoint('/orders', buy));
    const key = newKey();
    runs = 0;
    const first = await app.post('/orders', key, order).expect(200);
    expect(first.body).toEqual({ sku: 'cog', run: 1 });
    const again = await app.post('/orders', `"${key}"`, order).expect(200);
    expect(again.text).toBe(first.text);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(again.headers['content-type']).toBe(first.headers['content-type']);
    await app.post('/orders', key, { sku: 'gear' }).expect(422);
    expect(runs).toBe(1);
  });

  test('reply makes the response, knows the workflow, and is asked once', async () => {
    let asked = 0;
    app.serve((routes) =>
      routes.endpoint('/orders', buy, {
        input: ({ body }) => ({ ...(body as Order), quantity: 2 }),
        reply: (value, { idempotency }) => {
          asked += 1;
          return {
            status: 201,
            headers: { Location: `/orders/${idempotency?.workflowID}` },
            json: { value, asked },
          };
        },
      }),
    );
    const key = newKey();
    const first = await app.post('/orders', key, order).expect(201);
    expect(first.body.value).toMatchObject({ sku: 'cog', quantity: 2 });
    const again = await app.post('/orders', key, order).expect(201);
    expect(again.text).toBe(first.text);
    expect(again.headers['location']).toBe(first.headers['location']);
    const status = await app.pawl.getWorkflowStatus(
      String(first.headers['location']).slice('/orders/'.length),
    );
    expect(status).toMatchObject({ status: 'SUCCESS', name: buy.workflowName });
  });

  test('requests that come meanwhile join and get the same bytes', async () => {
    hold = gate();
    app.serve((routes) => routes.endpoint('/orders', slow));
    const key = newKey();
    const requests = [1, 2, 3].map(() => app.post('/orders', key, order).then((response) => response));
    await expect.poll(joined, { interval: 5 }).toBe(3);
    hold.open();
    const responses = await Promise.all(requests);
    expect(responses.map((response) => response.text)).toEqual(['"done"', '"done"', '"done"']);
    expect(responses.filter((response) => response.headers['idempotent-replayed'] === undefined).length).toBe(
      1,
    );
  });

  test('after waitSeconds the first is told where to look, and a second that the key is in flight', async () => {
    hold = gate();
    app.serve((routes) => routes.endpoint('/orders', slow, { waitSeconds: 0.05 }));
    const key = newKey();
    const first = await app.post('/orders', key, order).expect(202);
    const second = await app.post('/orders', key, order).expect(409);
    expect(second.body).toMatchObject({ code: 'request-in-flight', retryable: true });
    expect(second.headers['location']).toBe(first.headers['location']);
    expect(second.headers['retry-after']).toBeDefined();
    const waiting = app
      .post('/orders', key, order)
      .set('Prefer', 'wait=20')
      .then((response) => response);
    await expect.poll(joined, { interval: 5 }).toBe(1);
    hold.open();
    const third = await waiting;
    expect(third.body).toBe('done');
  });

  test('Prefer: respond-async is 202 at once; the same key has the answer later', async () => {
    hold = gate();
    app.serve((routes) => {
      routes.endpoint('/orders', slow);
      routes.workflows('/workflows', { authorize: () => true });
    });
    const key = newKey();
    const first = await app.post('/orders', key, order).set('Prefer', 'respond-async').expect(202);
    expect(first.headers['preference-applied']).toBe('respond-async');
    expect(first.headers['retry-after']).toBeDefined();
    const location = String(first.headers['location']);
    expect((await app.get(location).expect(200)).body).toMatchObject({
      status: 'PENDING',
      name: slow.workflowName,
    });
    const again = await app.post('/orders', key, order).set('Prefer', 'respond-async').expect(202);
    expect([again.headers['location'], again.headers['preference-applied']]).toEqual([
      location,
      'respond-async',
    ]);
    hold.open();
    expect((await app.get(`${location}/result?wait=10`).expect(200)).body).toBe('done');
    const late = await app.post('/orders', key, order).set('Prefer', 'respond-async').expect(200);
    expect([late.body, late.headers['preference-applied']]).toEqual(['done', undefined]);
    expect((await app.post('/orders', key, order).expect(200)).body).toBe('done');
  });

  test('prefer: false does not listen', async () => {
    app.serve((routes) => routes.endpoint('/orders', buy, { prefer: false }));
    await app.post('/orders', newKey(), order).set('Prefer', 'respond-async').expect(200);
  });

  test('an error with a status of its own is the answer, and stays the answer', async () => {
    app.serve((routes) => routes.endpoint('/orders', fail));
    const key = newKey();
    runs = 0;
    const sold = { status: 409, code: 'sold-out', title: 'Sold out', message: 'No cogs are left.' };
    const first = await app.post('/orders', key, sold).expect(409);
    expect(first.headers['content-type']).toMatch('application/problem+json');
    expect(first.body).toMatchObject({
      status: 409,
      code: 'sold-out',
      title: 'Sold out',
      detail: 'No cogs are left.',
      instance: '/orders',
    });
    const again = await app.post('/orders', key, sold).expect(409);
    expect(again.text).toBe(first.text);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(runs).toBe(1);
  });

  test('any other error is 500 without its message or stack, and stays it', async () => {
    app.serve((routes) => routes.endpoint('/orders', fail));
    const key = newKey();
    const first = await app.post('/orders', key, {}).expect(500);
    expect(first.body).toMatchObject({ status: 500, code: 'workflow-failed' });
    expect(first.text).not.toMatch(/secret|stack|at /);
    expect((await app.post('/orders', key, {}).expect(500)).text).toBe(first.text);
  });

  test('replyError makes the response of an error', async () => {
    app.serve((routes) =>
      routes.endpoint('/orders', fail, {
        replyError: (error) => ({ status: 418, json: { said: (error as Error).message } }),
      }),
    );
    expect((await app.post('/orders', newKey(), { message: 'no tea' }).expect(418)).body).toEqual({
      said: 'no tea',
    });
  });

  test('an input that is not valid is 422 with the issues, and does not use the key up', async () => {
    app.serve((routes) => routes.endpoint('/orders', buy, { input: orderSchema }));
    const key = newKey();
    const refused = await app.post('/orders', key, { sku: 7 }).expect(422);
    expect(refused.body).toMatchObject({
      code: 'input-invalid',
      issues: [{ message: 'sku must be a string', path: ['sku'] }],
    });
    expect((await app.post('/orders', key, order).expect(200)).body).toMatchObject({
      sku: 'cog',
      quantity: 1,
    });
    const malformed = await request(app.server)
      .post('/orders')
      .set('Idempotency-Key', newKey())
      .type('json')
      .send('{"sku":')
      .expect(400);
    expect(malformed.body.code).toBe('body-malformed');
  });

  test('nor does one that the schema of the workflow refuses', async () => {
    const strict = app.register('strict', async (given: Order) => given.sku, {
      input: orderSchema,
    });
    app.serve((routes) => routes.endpoint('/orders', strict as never));
    const key = newKey();
    expect((await app.post('/orders', key, { sku: 7 }).expect(422)).body.issues).toHaveLength(1);
    expect((await app.post('/orders', key, order).expect(200)).body).toBe('cog');
  });

  test('with an event, the response comes as soon as it is set, and stays its first value', async () => {
    app.serve((routes) => {
      routes.endpoint('/orders', pay, {
        event: 'payment',
        reply: (payment: { url: string }, { idempotency }) => ({
          status: 201,
          json: { ...payment, id: idempotency?.workflowID },
        }),
      });
    });
    const key = newKey();
    const first = await app.post('/orders', key, order).expect(201);
    expect(first.body.url).toBe('/pay/cog');
    await app.pawl.send(first.body.id, {}, 'paid');
    await app.pawl.retrieveWorkflow(first.body.id).getResult();
    expect((await app.post('/orders', key, order).expect(201)).text).toBe(first.text);
  });

  test('it is the first value also where the workflow sets more of them at once', async () => {
    const hasty = app.register('hasty', async () => {
      await Promise.all([1, 2, 3].map((value) => app.pawl.setEvent('payment', value)));
      return 'end';
    });
    app.serve((routes) => routes.endpoint('/orders', hasty, { event: 'payment' }));
    for (let tries = 0; tries < 5; tries += 1) {
      expect((await app.post('/orders', newKey(), {}).expect(200)).body).toBe(1);
    }
  });

  test('a workflow that ends without the event answers with its result', async () => {
    app.serve((routes) => routes.endpoint('/orders', pay as never, { event: 'payment' }));
    const started = performance.now();
    expect((await app.post('/orders', newKey(), { sku: 'nothing' }).expect(200)).body).toBe('nothing to pay');
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test('without a key each request is a workflow of its own; required, it is 400', async () => {
    app.serve((routes) => {
      routes.endpoint('/orders', buy);
      routes.endpoint('/strict', buy, { required: true });
    });
    runs = 0;
    await app.post('/orders', undefined, order).expect(200);
    await app.post('/orders', undefined, order).expect(200);
    expect(runs).toBe(2);
    await app.post('/strict', undefined, order).expect(400);
    expect(runs).toBe(2);
  });

  test('a cancelled workflow is 409, and not for good', async () => {
    hold = gate();
    app.serve((routes) => routes.endpoint('/orders', slow));
    const key = newKey();
    const accepted = await app.post('/orders', key, order).set('Prefer', 'respond-async').expect(202);
    await app.pawl.cancelWorkflow(accepted.body.workflowID);
    expect((await app.post('/orders', key, order).expect(409)).body.code).toBe('workflow-cancelled');
    hold.open();
    await app.pawl.resumeWorkflow(accepted.body.workflowID);
    expect((await app.post('/orders', key, order).expect(200)).body).toBe('done');
  });

  test('a result of undefined is 204', async () => {
    const nothing = app.register('nothing', async () => undefined);
    app.serve((routes) => routes.endpoint('/orders', nothing));
    const key = newKey();
    await app.post('/orders', key, {}).expect(204);
    await app.post('/orders', key, {}).expect(204);
  });

  test('the raw key is in no row of the database', async () => {
    app.serve((routes) => routes.endpoint('/orders', buy));
    const key = `very-secret-${newKey()}`;
    await app.post('/orders', key, order).expect(200);
    const rows = [
      ...(await app.sql('SELECT * FROM pawl.http_request')),
      ...(await app.sql('SELECT * FROM pawl.workflow')),
    ];
    expect(rows.length).toBeGreaterThan(1);
    expect(JSON.stringify(rows)).not.toContain('very-secret');
  });
});
