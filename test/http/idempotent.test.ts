// `http.idempotent()`: what a client sees that sends a key twice. The same cases for Express and Koa.
import createError from 'http-errors';
import request from 'supertest';
import { beforeEach, expect, test } from 'vitest';
import { describeOnEach } from './app-under-test.ts';
import type { Defaults } from '@pawl/core/http';
import type { Answered, App, Asked, Seen } from './frameworks.ts';

describeOnEach('idempotent', (app) => {
  let runs = 0;
  beforeEach(() => {
    runs = 0;
  });

  /** One route at /things that counts its runs. */
  function handle(
    handler: (asked: Asked) => Answered | Promise<Answered>,
    options: Parameters<App['idempotent']>[1] = {},
  ): void {
    app.serve((routes) => {
      routes.idempotent('/things', options, (asked) => {
        runs += 1;
        return handler(asked);
      });
    });
  }

  const newKey = app.newKey;
  const post = (key: string, body: object = { a: 1 }, path = '/things') => app.post(path, key, body);

  test('the same key gives the same status, headers and bytes, without a second run', async () => {
    handle(({ body }) => ({
      status: 201,
      headers: { Location: '/things/1', Link: ['<a>; rel=a', '<b>; rel=b'] },
      json: { run: runs, body },
    }));
    const key = newKey();
    const first = await post(key);
    const again = await post(`"${key}"`, { a: 1 });
    expect(first.status).toBe(201);
    expect(first.body).toEqual({ run: 1, body: { a: 1 } });
    expect(first.headers['idempotent-replayed']).toBeUndefined();
    expect(first.headers['idempotency-stored']).toBeUndefined();
    expect(again.status).toBe(201);
    expect(again.text).toBe(first.text);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(again.headers['location']).toBe('/things/1');
    expect(again.headers['link']).toBe(first.headers['link']);
    expect(again.headers['content-type']).toBe(first.headers['content-type']);
    expect(runs).toBe(1);
  });

  test('204 stays 204', async () => {
    handle(() => ({ status: 204 }));
    const key = newKey();
    await post(key).expect(204);
    const again = await post(key).expect(204);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(again.headers['content-type']).toBeUndefined();
    expect(runs).toBe(1);
  });

  test('a response of the status alone is replayed as it was', async () => {
    handle(() => ({ status: 201 }));
    const key = newKey();
    const first = await post(key);
    const again = await post(key);
    expect(again.text).toBe(first.text);
    expect(again.headers['content-type']).toBe(first.headers['content-type']);
  });

  test('a response that was written to the socket directly is replayed', async () => {
    handle(({ outgoing }) => {
      outgoing.writeHead(202, { 'Content-Type': 'text/x-own' });
      outgoing.write('a');
      outgoing.end('b');
      return { raw: true };
    });
    const key = newKey();
    const first = await post(key).expect(202);
    const again = await post(key).expect(202);
    expect(again.headers['content-type']).toBe('text/x-own');
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(again.text ?? again.body.toString()).toEqual(first.text ?? first.body.toString());
    expect(runs).toBe(1);
  });

  test('another request under the key is 422, and does not run', async () => {
    handle(() => ({ json: {} }));
    const key = newKey();
    await post(key).expect(200);
    const other = await post(key, { a: 2 }).expect(422);
    expect(other.headers['content-type']).toMatch('application/problem+json');
    expect(other.body).toMatchObject({
      status: 422,
      code: 'idempotency-key-reused',
      retryable: false,
      instance: '/things',
    });
    await post(key, { a: 1 }, '/things?x=1').expect(422);
    expect(runs).toBe(1);
  });

  test('the order of fields does not make another request', async () => {
    handle(() => ({ json: {} }));
    const key = newKey();
    const raw = (body: string) =>
      request(app.server).post('/things').set('Idempotency-Key', key).type('json').send(body);
    await raw('{"a":1,"b":2}').expect(200);
    await raw('{ "b": 2, "a": 1 }').expect(200);
    expect(runs).toBe(1);
  });

  test('keys of two callers do not meet, nor those of two methods', async () => {
    handle(() => ({ json: { run: runs } }));
    const key = newKey();
    expect((await post(key).set('X-User', 'bob')).body).toEqual({ run: 1 });
    expect((await post(key).set('X-User', 'eve')).body).toEqual({ run: 2 });
    expect(
      (
        await request(app.server)
          .patch('/things')
          .set('Idempotency-Key', key)
          .set('X-User', 'eve')
          .send({ a: 1 })
      ).body,
    ).toEqual({ run: 3 });
  });

  test.each([400, 404, 422, 302])('%i is an answer like any other', async (status) => {
    handle(() => ({ status, json: { run: runs } }));
    const key = newKey();
    const first = await post(key);
    const again = await post(key);
    expect([first.status, again.status]).toEqual([status, status]);
    expect(again.text).toBe(first.text);
    expect(runs).toBe(1);
  });

  test.each([401, 403, 408, 409, 425, 429, 500, 503])(
    '%i leaves the key for another try of the same request',
    async (status) => {
      handle(() => (runs === 1 ? { status, json: {} } : { status: 201, json: { run: runs } }));
      const key = newKey();
      expect((await post(key)).status).toBe(status);
      await post(key, { a: 2 }).expect(422);
      const again = await post(key).expect(201);
      expect(again.body).toEqual({ run: 2 });
      expect(again.headers['idempotent-replayed']).toBeUndefined();
      await post(key).expect(201);
      expect(runs).toBe(2);
    },
  );

  test('a throw leaves the key for another try, a thrown 4xx is an answer', async () => {
    handle(() => {
      if (runs === 1) throw new Error('bad luck');
      throw createError(402, 'no money');
    });
    const key = newKey();
    await post(key).expect(500);
    const second = await post(key).expect(402);
    const third = await post(key).expect(402);
    expect(third.text).toBe(second.text);
    expect(third.headers['idempotent-replayed']).toBe('true');
    expect(runs).toBe(2);
  });

  test('which statuses are recorded can be chosen', async () => {
    handle(() => ({ status: 409, json: { run: runs } }), { storable: ({ status }) => status === 409 });
    const key = newKey();
    await post(key).expect(409);
    expect((await post(key).expect(409)).headers['idempotent-replayed']).toBe('true');
  });

  test('without a key every request runs; required, it is 400 with a link to the reason', async () => {
    handle(() => ({ json: {} }));
    await request(app.server).post('/things').send({}).expect(200);
    await request(app.server).post('/things').send({}).expect(200);
    expect(runs).toBe(2);
    handle(() => ({ json: {} }), { required: true });
    const refused = await request(app.server).post('/things').send({}).expect(400);
    expect(refused.body.code).toBe('idempotency-key-missing');
    expect(refused.headers['link']).toMatch('rel="describedby"');
    expect(runs).toBe(2);
  });

  test.each(['', '""', 'a,b', 'a b', '"open', 'x'.repeat(256)])('the key %j is 400', async (key) => {
    handle(() => ({ json: {} }));
    const refused = await request(app.server)
      .post('/things')
      .set('Idempotency-Key', key)
      .send({})
      .expect(400);
    expect(refused.body.code).toBe('idempotency-key-invalid');
    expect(runs).toBe(0);
  });

  test('PUT, DELETE and GET pass through, unless PUT is asked for', async () => {
    handle(() => ({ json: { run: runs } }));
    for (const method of ['put', 'delete', 'get'] as const) {
      const key = newKey();
      await request(app.server)[method]('/things').set('Idempotency-Key', key).expect(200);
      await request(app.server)[method]('/things').set('Idempotency-Key', key).expect(200);
    }
    expect(runs).toBe(6);
    handle(() => ({ json: { run: runs } }), { methods: ['PUT', 'GET'] });
    const key = newKey();
    const put = () => request(app.server).put('/things').set('Idempotency-Key', key).send({});
    expect((await put()).text).toBe((await put()).text);
    await request(app.server).get('/things').set('Idempotency-Key', key).expect(200);
    expect(runs).toBe(8);
  });

  test('a route without a scope is a mistake that shows when it is made', () => {
    handle(() => ({ json: {} }));
    expect(() =>
      app.framework.serve(app.pawl, {} as Defaults<Seen>, (routes) =>
        routes.idempotent('/x', {}, () => ({ json: {} })),
      ),
    ).toThrow(/scope/);
  });

  test('headers of one response are not replayed, nor those that were set in front', async () => {
    handle(() => ({
      headers: {
        'Set-Cookie': 'a=1',
        'X-Request-Id': 'r1',
        'X-CSRF-Token': 't',
        'RateLimit-Remaining': '3',
        'X-Order': '7',
      },
      json: {},
    }));
    const key = newKey();
    expect((await post(key)).headers['set-cookie']).toBeDefined();
    const again = await post(key);
    expect(again.headers['x-order']).toBe('7');
    for (const name of ['set-cookie', 'x-request-id', 'x-csrf-token', 'ratelimit-remaining'])
      expect(again.headers[name]).toBeUndefined();
  });

  test('the handler learns key, workflow id and attempt', async () => {
    handle(({ idempotency }) => ({ status: runs === 1 ? 500 : 200, json: idempotency }));
    const key = newKey();
    const first = await post(key);
    const second = await post(key);
    expect(first.body).toMatchObject({ key, attempt: 1 });
    expect(second.body).toEqual({ ...first.body, attempt: 2 });
    expect(first.body.workflowID).not.toContain(key);
  });
});
