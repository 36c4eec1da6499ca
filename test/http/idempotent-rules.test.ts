// `http.idempotent()`, rule by rule: what makes two requests the same, what comes first, what the options change.
import request from 'supertest';
import { beforeEach, expect, test } from 'vitest';
import { describeOnEach, gate } from './app-under-test.ts';
import type { Answered, App, Asked } from './frameworks.ts';
import { exchange, keyedPost } from './wire.ts';

type Options = Parameters<App['idempotent']>[1];

describeOnEach('the rules of idempotent', (app) => {
  const { newKey } = app;
  let runs = 0;
  beforeEach(() => {
    runs = 0;
  });

  function handle(
    options: Options = {},
    handler: (asked: Asked) => Answered | Promise<Answered> = () => ({ json: { runs } }),
  ) {
    app.serve((routes) => routes.idempotent('/things', options, (asked) => ((runs += 1), handler(asked))));
  }
  const post = (key: string, body: object = { a: 1 }, path = '/things') => app.post(path, key, body);
  const typed = (key: string, type: string, body: string | Buffer) =>
    request(app.server).post('/things').set({ 'Idempotency-Key': key, 'Content-Type': type }).send(body);

  test('another query, media type or body is another request; parameters of the media type are not', async () => {
    handle();
    const key = newKey();
    await typed(key, 'application/json', '{"a":1}').expect(200);
    await typed(key, 'application/json; charset=utf-8', '{"a":1.0}').expect(200);
    await typed(key, 'application/merge-patch+json', '{"a":1}').expect(422);
    await typed(key, 'application/json', '{"a":"1"}').expect(422);
    await typed(key, 'application/json', '').expect(422);
    await post(key, { a: 1 }, '/things?a=1').expect(422);
    const text = newKey();
    await typed(text, 'text/plain', 'a b').expect(200);
    await typed(text, 'text/plain', 'a  b').expect(422);
    expect(runs).toBe(2);
  });

  test('a form with files is the same request under another boundary, and not with another file', async () => {
    app.serve((routes) => routes.idempotent('/things', {}, () => ((runs += 1), { json: {} }), 'none'));
    const key = newKey();
    const form = (boundary: string, content: string) =>
      typed(
        key,
        `multipart/form-data; boundary=${boundary}`,
        `--${boundary}\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n${content}\r\n--${boundary}--\r\n`,
      );
    await form('one', 'content').expect(200);
    expect((await form('two', 'content').expect(200)).headers['idempotent-replayed']).toBe('true');
    await form('three', 'other').expect(422);
    expect(runs).toBe(1);
  });

  test('ignoreFields, includeHeaders and a fingerprint of one’s own say what counts', async () => {
    handle({ ignoreFields: ['sentAt', 'meta.try'], includeHeaders: ['X-Version'] });
    const key = newKey();
    const send = (body: object, version = '1') => post(key, body).set('X-Version', version);
    await send({ a: 1, sentAt: 1, meta: { try: 1, of: 2 } }).expect(200);
    await send({ a: 1, sentAt: 2, meta: { try: 2, of: 2 } }).expect(200);
    await send({ a: 1, meta: { of: 2 } }).expect(200);
    await send({ a: 1, meta: { of: 3 } }).expect(422);
    await send({ a: 1, meta: { of: 2 } }, '2').expect(422);
    handle({ fingerprint: ({ body }) => String((body as { order: number }).order) });
    const own = newKey();
    await post(own, { order: 1, note: 'a' }).expect(200);
    await post(own, { order: 1, note: 'b' }).expect(200);
    await post(own, { order: 2, note: 'a' }).expect(422);
    expect(runs).toBe(2);
  });

  test('422 comes before anything else: in flight, after a failed attempt, done', async () => {
    const hold = gate();
    handle({}, async () => {
      if (runs > 1) return { status: 201, json: {} };
      await hold.opened;
      return { status: 500, json: {} };
    });
    const key = newKey();
    const first = post(key).then((response) => response);
    await expect.poll(() => runs).toBe(1);
    const other = () => post(key, { a: 2 });
    const inFlight = await other();
    await post(key).expect(409);
    hold.open();
    expect((await first).status).toBe(500);
    const failed = await other();
    await post(key).expect(201);
    const done = await other();
    for (const { status, body, headers } of [inFlight, failed, done]) {
      expect([status, headers['content-type'], headers['cache-control']]).toEqual([
        422,
        'application/problem+json; charset=utf-8',
        'no-store',
      ]);
      expect(body).toEqual({
        type: 'urn:pawl:problem:idempotency-key-reused',
        title: 'Idempotency-Key was used for another request',
        status: 422,
        detail: expect.any(String),
        instance: '/things',
        code: 'idempotency-key-reused',
        retryable: false,
      });
    }
    expect(runs).toBe(2);
  });

  test('in flight is 409 with all that a client needs; nothing that is in flight expires', async () => {
    const hold = gate();
    handle({ retention: 1 }, async () => (await hold.opened, { json: { runs } }));
    const key = newKey();
    const first = post(key).then((response) => response);
    await expect.poll(() => runs).toBe(1);
    await app.sql(
      `UPDATE pawl.http_request SET created_at = now() - interval '1 year' WHERE state = 'running'`,
    );
    const second = await post(key).expect(409);
    expect(second.headers['retry-after']).toBe('1');
    expect(second.body).toEqual({
      type: 'urn:pawl:problem:request-in-flight',
      title: 'A request with this Idempotency-Key is in flight',
      status: 409,
      detail: expect.any(String),
      instance: '/things',
      code: 'request-in-flight',
      retryable: true,
      workflowID: expect.stringMatching(/^http-/),
    });
    hold.open();
    expect((await first).body).toEqual({ runs: 1 });
  });

  test('inFlight: wait joins, as long as the client wants to wait', async () => {
    const hold = gate();
    handle({ inFlight: 'wait' }, async () => (await hold.opened, { json: { runs } }));
    const key = newKey();
    const first = post(key).then((response) => response);
    await expect.poll(() => runs).toBe(1);
    await post(key).set('Prefer', 'wait=0').expect(409);
    const joined = [1, 2, 3].map(() => post(key).then((response) => response));
    hold.open();
    for (const response of await Promise.all(joined)) {
      expect([response.text, response.headers['idempotent-replayed']]).toEqual([(await first).text, 'true']);
    }
    expect(runs).toBe(1);
  });

  test('a missing key where one is required is 400, and links to its explanation', async () => {
    app.serve(
      (routes) => routes.idempotent('/things', { required: true }, () => ((runs += 1), { json: {} })),
      {
        scope: 'global',
        problemBase: 'https://api.example.com/problems/',
      },
    );
    const refused = await app.post('/things', undefined).expect(400);
    const type = 'https://api.example.com/problems/idempotency-key-missing';
    expect(refused.headers['link']).toBe(`<${type}>; rel="describedby"`);
    expect(refused.body).toMatchObject({
      type,
      status: 400,
      code: 'idempotency-key-missing',
      instance: '/things',
    });
    expect(runs).toBe(0);
  });

  test('a request costs one round trip to claim and one to record, a replay one', async () => {
    handle();
    const { statements } = app;
    statements.length = 0;
    const key = newKey();
    await post(key).expect(200);
    expect(statements).toEqual(['http_claim', 'http_settle']);
    await post(key).expect(200);
    await post(key, { a: 2 }).expect(422);
    expect(statements.slice(2)).toEqual(['http_claim', 'http_claim']);
  });

  test('a scope may be a promise; nobody is 401, and what is no name is 500: nothing runs', async () => {
    handle({ scope: async ({ headers }) => String(headers['x-user']) });
    const key = newKey();
    await post(key).set('X-User', 'ann').expect(200);
    expect((await post(key).set('X-User', 'bob')).body).toEqual({ runs: 2 });
    for (const [scope, status, code] of [
      [() => '', 401, 'scope-missing'],
      [() => undefined, 401, 'scope-missing'],
      [() => 7, 500, 'scope-failed'],
      [() => Promise.reject(new Error('secret')), 500, 'scope-failed'],
    ] as const) {
      handle({ scope: scope as unknown as () => string });
      const refused = await post(newKey());
      expect([refused.status, refused.body.code]).toEqual([status, code]);
      expect(refused.text).not.toContain('secret');
    }
    expect(runs).toBe(2);
  });

  test('a fault in an option goes the way of any fault of the app, before anything runs', async () => {
    const fault = (): never => {
      throw new Error('my fault');
    };
    for (const options of [{ skip: fault }, { fingerprint: fault }]) {
      handle(options);
      const key = newKey();
      expect((await post(key).expect(500)).body).toEqual({ error: 'my fault' });
      expect(runs).toBe(0);
      handle();
      await post(key).expect(200);
      runs = 0;
    }
  });

  test('a fault in storable does not have the work done twice', async () => {
    handle({
      storable: () => {
        throw new Error('my fault');
      },
    });
    const key = newKey();
    const first = await post(key).expect(200);
    expect((await post(key).expect(200)).text).toBe(first.text);
    expect(runs).toBe(1);
  });

  test('a large answer that is not worth keeping leaves the key for another try', async () => {
    handle({ maxStoredBytes: 1000 }, ({ outgoing }) => {
      if (runs === 1) return { status: 503, text: 'x'.repeat(2000) };
      if (runs > 2) return { json: { runs } };
      outgoing.writeHead(502);
      outgoing.flushHeaders();
      outgoing.end('bad gateway');
      return { raw: true };
    });
    const key = newKey();
    expect((await post(key).expect(503)).text.length).toBe(2000);
    await post(key).expect(502);
    expect((await post(key).expect(200)).body).toEqual({ runs: 3 });
    expect((await post(key)).headers['idempotent-replayed']).toBe('true');
  });

  test('an answer that is not in the encoding that it names is kept as it is', async () => {
    handle({}, ({ outgoing }) => {
      outgoing.writeHead(200, { 'Content-Type': 'text/x-own', 'Content-Encoding': 'gzip' });
      outgoing.end('not gzip at all');
      return { raw: true };
    });
    const key = newKey();
    const head = keyedPost('/things', [key], '{}');
    const first = await exchange(app.server, head, '{}');
    const again = await exchange(app.server, head, '{}');
    expect([again.status, again.body.toString()]).toEqual([200, first.body.toString()]);
    expect(again.header('content-encoding')).toBe('gzip');
    expect(runs).toBe(1);
  });

  test('requests that idempotency leaves alone run each time', async () => {
    handle({ skip: ({ headers }) => headers['x-dry-run'] === 'yes' });
    const key = newKey();
    for (let tries = 0; tries < 2; tries += 1) await post(key).set('X-Dry-Run', 'yes').expect(200);
    await post(key).expect(200);
    await post(key).expect(200);
    expect(runs).toBe(3);
  });
});
