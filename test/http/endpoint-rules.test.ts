// `http.endpoint()`, rule by rule: bodies and inputs, what a client prefers, faults, and what a request costs.
import type { Workflow } from '@pawl/core';
import type { WebhookOptions } from '@pawl/core/http';
import request from 'supertest';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { httpRequests } from '../../packages/core/src/store/http-requests.ts';
import { describeOnEach, gate } from './app-under-test.ts';
import { collect } from './wire.ts';

interface Order {
  readonly sku: string;
}

const schema: NonNullable<WebhookOptions<Order>['schema']> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) =>
      typeof (value as Order | null | undefined)?.sku === 'string'
        ? { value: value as Order }
        : { issues: [{ message: 'sku must be a string', path: ['sku'] }] },
  },
};

describeOnEach('the rules of endpoint', (app) => {
  const { newKey } = app;
  const order = { sku: 'cog' };
  let runs = 0;
  let hold = gate();
  let buy: Workflow<[order: Order], { sku: string; run: number }>;
  let slow: Workflow<[order: Order], string>;
  let report: Workflow<[], string>;

  beforeAll(() => {
    buy = app.register('buy', async (given: Order) => ({ sku: given.sku, run: (runs += 1) }));
    report = app.register('report', async () => `report ${(runs += 1)}`);
    slow = app.register('slow', async () => {
      await app.pawl.runStep(() => hold.opened, { name: 'hold' });
      return 'done';
    });
  });
  beforeEach(() => {
    runs = 0;
    hold = gate();
  });

  const typed = (key: string, type: string, body: string, path = '/orders') =>
    request(app.server).post(path).set({ 'Idempotency-Key': key, 'Content-Type': type }).send(body);

  test('a body that is missing, or that nobody reads, is refused and not taken for undefined', async () => {
    app.serve((routes) => {
      routes.endpoint('/orders', buy);
      routes.endpoint('/reports', report);
      routes.endpoint('/checked', buy, { input: schema });
      routes.endpoint('/own', buy, { input: () => order });
    });
    const key = newKey();
    const none = await request(app.server).post('/orders').set('Idempotency-Key', key).expect(400);
    expect(none.body).toMatchObject({ code: 'body-missing', retryable: false, instance: '/orders' });
    const form = await typed(key, 'application/x-www-form-urlencoded', 'sku=cog').expect(415);
    expect(form.body.code).toBe('media-type-unsupported');
    const broken = await typed(key, 'application/json', '{"sku":').expect(400);
    expect(broken.body.code).toBe('body-malformed');
    const checked = await request(app.server).post('/checked').set('Idempotency-Key', key).expect(422);
    expect(checked.body.issues).toEqual([{ message: 'sku must be a string', path: ['sku'] }]);
    await app.post('/orders', undefined, undefined).unset('Content-Type').send().expect(400);
    expect(runs).toBe(0);
    // None of them has used the key up, and a workflow without an argument needs no body.
    await app.post('/orders', key, order).expect(200);
    expect((await request(app.server).post('/reports').set('Idempotency-Key', key)).body).toBe('report 2');
    await typed(newKey(), 'text/plain', 'what ever', '/own').expect(200);
  });

  test('what a key stands for does not depend on what is valid now, and 422 for another request comes first', async () => {
    let open = true;
    app.serve((routes) =>
      routes.endpoint('/orders', buy, {
        input: ({ body }) => {
          if (!open) throw Object.assign(new Error('Orders are closed.'), { status: 403 });
          return body as Order;
        },
      }),
    );
    const key = newKey();
    const first = await app.post('/orders', key, order).expect(200);
    open = false;
    const again = await app.post('/orders', key, order).expect(200);
    expect([again.text, again.headers['idempotent-replayed']]).toEqual([first.text, 'true']);
    expect((await app.post('/orders', key, { sku: 'gear' }).expect(422)).body.code).toBe(
      'idempotency-key-reused',
    );
    const refused = await app.post('/orders', newKey(), order).expect(403);
    expect(refused.body).toMatchObject({ code: 'input-invalid', detail: 'Orders are closed.' });
    expect(runs).toBe(1);
  });

  test('422 for another request comes first in flight, too', async () => {
    app.serve((routes) => routes.endpoint('/orders', slow));
    const key = newKey();
    await app.post('/orders', key, order).set('Prefer', 'respond-async').expect(202);
    expect((await app.post('/orders', key, { sku: 'gear' }).expect(422)).body.code).toBe(
      'idempotency-key-reused',
    );
    hold.open();
  });

  test('Prefer: what was applied is said, what takes longer is 202 or, joined, 409', async () => {
    app.serve(
      (routes) => {
        routes.endpoint('/orders', slow);
        routes.endpoint('/quick', buy);
      },
      { scope: 'global', workflowsPath: '/api/flows/' },
    );
    const quick = await app
      .post('/quick', newKey(), order)
      .set('Prefer', 'respond-async, wait=20')
      .expect(200);
    expect(quick.headers['preference-applied']).toBeUndefined();
    const key = newKey();
    const ask = (prefer: string) => app.post('/orders', key, order).set('Prefer', prefer);
    const first = await ask('wait=0').expect(202);
    const location = `/api/flows/${first.body.workflowID}`;
    expect(first.body).toEqual({ workflowID: expect.stringMatching(/^http-/), location });
    expect([first.headers['location'], first.headers['retry-after']]).toEqual([location, '1']);
    expect(first.headers['idempotency-stored']).toBeUndefined();
    const joined = await ask('wait=0').expect(409);
    expect(joined.body).toMatchObject({
      code: 'request-in-flight',
      retryable: true,
      workflowID: first.body.workflowID,
    });
    expect([joined.headers['location'], joined.headers['retry-after']]).toEqual([location, '1']);
    const limited = await ask('RESPOND-ASYNC; foo="a", wait="0"').expect(202);
    expect(limited.headers['preference-applied']).toBe('respond-async, wait=0');
    const async = await ask('handling=strict, respond-async').expect(202);
    expect(async.headers['preference-applied']).toBe('respond-async');
    const waiting = ask('wait=50').then((response) => response);
    hold.open();
    expect((await waiting).body).toBe('done');
    const final = await ask('respond-async').expect(200);
    expect([final.text, final.headers['idempotent-replayed']]).toEqual(['"done"', 'true']);
  });

  test('ten at once start one workflow and get one answer', async () => {
    app.serve((routes) => routes.endpoint('/orders', buy));
    const key = newKey();
    const all = await Promise.all(
      Array.from({ length: 10 }, () => app.post('/orders', key, order).then((response) => response)),
    );
    expect(new Set(all.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(runs).toBe(1);
  });

  test('an answer that is too large to keep goes out once; a retry is told, and nothing runs again', async () => {
    app.serve((routes) =>
      routes.endpoint('/orders', buy, { maxStoredBytes: 100, reply: () => ({ body: 'x'.repeat(200) }) }),
    );
    const key = newKey();
    const first = await app.post('/orders', key, order).expect(200);
    expect([first.text.length, first.headers['idempotency-stored']]).toEqual([200, 'false']);
    const again = await app.post('/orders', key, order).expect(409);
    expect(again.body).toMatchObject({ code: 'response-unavailable', retryable: false });
    expect(runs).toBe(1);
  });

  test('bytes of a reply are the bytes of every replay', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    app.serve((routes) =>
      routes.endpoint('/orders', buy, {
        reply: () => ({ status: 203, headers: { 'Content-Type': 'image/x-own', ETag: '"1"' }, body: bytes }),
      }),
    );
    const key = newKey();
    for (const replayed of [undefined, 'true']) {
      const { status, headers, body } = await app.post('/orders', key, order).buffer(true).parse(collect);
      expect([status, headers['content-type'], headers['etag'], headers['idempotent-replayed']]).toEqual([
        203,
        'image/x-own',
        '"1"',
        replayed,
      ]);
      expect(bytes.equals(body as Buffer)).toBe(true);
    }
  });

  test('what belongs to one response is not in the record of a reply either', async () => {
    app.serve((routes) =>
      routes.endpoint('/orders', buy, {
        reply: () => ({ headers: { 'Set-Cookie': 'a=1', 'X-Api-Token': 'secret', 'X-Order': '7' }, json: 1 }),
      }),
    );
    const key = newKey();
    const first = await app.post('/orders', key, order).expect(200);
    const again = await app.post('/orders', key, order).expect(200);
    expect([first.headers['set-cookie'], first.headers['x-api-token']]).toEqual([['a=1'], 'secret']);
    expect([again.headers['set-cookie'], again.headers['x-api-token']]).toEqual([undefined, undefined]);
    expect([again.text, again.headers['x-order']]).toEqual([first.text, '7']);
  });

  test('a fault in reply or replyError goes the way of any fault, and the next try answers', async () => {
    let broken = true;
    const fault = (): { status: number } => {
      if (broken) throw new Error('my fault');
      return { status: 204 };
    };
    const fail = app.register('fail', async (): Promise<string> => {
      runs += 1;
      throw new Error('no');
    });
    app.serve((routes) => {
      routes.endpoint('/orders', buy, { reply: fault });
      routes.endpoint('/failing', fail, { replyError: fault });
    });
    for (const path of ['/orders', '/failing']) {
      broken = true;
      const key = newKey();
      expect((await app.post(path, key, order).expect(500)).body).toEqual({ error: 'my fault' });
      broken = false;
      await app.post(path, key, order).expect(204);
    }
    expect(runs).toBe(2);
  });

  test('an error that hides its message has it hidden, one that has its own 5xx keeps that', async () => {
    const fail = app.register('fail with', async (properties: object): Promise<string> => {
      throw Object.assign(new Error('internal'), properties);
    });
    app.serve((routes) => routes.endpoint('/orders', fail));
    const hidden = await app.post('/orders', newKey(), { status: 409, expose: false }).expect(409);
    const shown = await app.post('/orders', newKey(), { statusCode: 503, expose: true }).expect(503);
    expect([hidden.body.detail, shown.body.detail]).toEqual([
      'The workflow ended with an error.',
      'internal',
    ]);
    expect(hidden.body.workflowID).toMatch(/^http-/);
  });

  test('a request costs one round trip to claim, a replay one', async () => {
    app.serve((routes) => routes.endpoint('/orders', buy));
    const key = newKey();
    const { statements } = app;
    statements.length = 0;
    await app.post('/orders', key, order).expect(200);
    // The answer is recorded with the end of the workflow.
    expect(statements).toEqual(['http_claim']);
    await app.post('/orders', key, order).expect(200);
    expect(statements).toEqual(['http_claim', 'http_claim']);
  });

  test('a key whose client never came back is forgotten a month after its workflow has ended, not before', async () => {
    app.serve((routes) => routes.endpoint('/orders', slow));
    const key = newKey();
    const { body } = await app.post('/orders', key, order).set('Prefer', 'respond-async').expect(202);
    const id = String(body.workflowID).split('-').slice(1, -1).join('-');
    const month = 30 * 24 * 60 * 60_000;
    const swept = async () => {
      await httpRequests(internals(app.pawl).database).sweep(1000, month);
      return (await app.sql('SELECT FROM pawl.http_request WHERE id = $1', [id])).length === 0;
    };
    const age = (table: string, column: string, key: string) =>
      app.sql(`UPDATE pawl.${table} SET ${column} = now() - interval '31 days' WHERE id = $1`, [key]);
    await age('http_request', 'created_at', id);
    expect(await swept()).toBe(false);
    hold.open();
    await app.pawl.retrieveWorkflow(String(body.workflowID)).getResult();
    expect(await swept()).toBe(false);
    await age('workflow', 'completed_at', String(body.workflowID));
    expect(await swept()).toBe(true);
  });
});
