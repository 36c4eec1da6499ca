// What Koa apps put around `http.idempotent()`: parsers, compression, CORS, nested routers, errors, streams, and
// responses that go past Koa. The order is the documented one unless a case says otherwise.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { bodyParser } from '@koa/bodyparser';
import cors from '@koa/cors';
import { CORS_RESPONSE_HEADERS, type PawlKoa, pawlKoa } from '@pawl/koa';
import type Koa3 from 'koa';
import type { Context, Middleware } from 'koa';
import compress from 'koa-compress';
import mount from 'koa-mount';
import request from 'supertest';
import { afterEach, describe, expect, test } from 'vitest';
import { appUnderTest, gate } from './app-under-test.ts';
import { type Framework, frameworks, koas } from './frameworks.ts';
import { collect } from './wire.ts';

const LONG = 'x'.repeat(5000);
const OF_ONE_RESPONSE = new Set(['date', 'connection', 'keep-alive', 'idempotent-replayed']);

describe('around the routes of Koa', () => {
  const under = appUnderTest(frameworks[0] as Framework);

  describe.each(koas)('on $name', ({ name, Koa, KoaRouter }) => {
    let server: Server | undefined;
    let runs = 0;
    let keys = 0;
    afterEach(() => {
      server?.closeAllConnections();
      server?.close();
      server = undefined;
      runs = 0;
    });

    function serve(define: (app: Koa3, http: PawlKoa) => void): void {
      const app = new Koa();
      app.silent = true;
      define(app, pawlKoa(under.pawl, { scope: 'global' }));
      server = createServer(app.callback()).listen(0, '127.0.0.1');
    }
    const newKey = (): string => `${name}-${(keys += 1)}`;
    const post = (key: string, headers: Record<string, string> = {}, path = '/things') =>
      request(server as Server)
        .post(path)
        .set({ 'Idempotency-Key': key, ...headers })
        .send({ a: 1 });
    /** Sends it, and hangs up once its handler runs. */
    async function hangUp(asked: request.Test, begun: Promise<void>): Promise<void> {
      const cut = expect(asked).rejects.toThrow('Aborted');
      await begun;
      asked.abort();
      await cut;
    }
    const answer: Middleware = (ctx) => {
      runs += 1;
      ctx.status = 201;
      ctx.body = { runs, body: (ctx.request as { body?: unknown }).body, long: LONG };
    };

    test('behind koa-compress the record has plain bytes, for a client that asks for any encoding', async () => {
      serve((app, http) =>
        app
          .use(compress({ threshold: 0 }))
          .use(http.idempotent())
          .use(bodyParser())
          .use(answer),
      );
      const key = newKey();
      for (const encoding of ['gzip', 'identity', 'br', 'gzip']) {
        const { headers, body, status } = await post(key, { 'Accept-Encoding': encoding });
        expect([status, headers['content-encoding'] ?? 'identity']).toEqual([201, encoding]);
        expect(body).toEqual({ runs: 1, body: { a: 1 }, long: LONG });
      }
    });

    test('behind koa-compress and with a client that has gone, too', async () => {
      const begun = gate();
      serve((app, http) =>
        app
          .use(compress({ threshold: 0 }))
          .use(http.idempotent())
          .use(async (ctx, next) => {
            begun.open();
            await once(ctx.req.socket, 'close');
            await answer(ctx, next);
          }),
      );
      const key = newKey();
      await hangUp(post(key, { 'Accept-Encoding': 'gzip' }), begun.opened);
      await expect.poll(async () => (await post(key)).status).toBe(201);
      expect((await post(key, { 'Accept-Encoding': 'identity' })).body).toMatchObject({ runs: 1 });
      expect(runs).toBe(1);
    });

    test('errors behind koa-compress are kept, or leave the key, as without it', async () => {
      serve((app, http) =>
        app
          .use(compress({ threshold: 0 }))
          .use(async (ctx, next) => {
            try {
              await next();
            } catch (error) {
              ctx.status = (error as { status: number }).status;
              ctx.body = { handled: (error as Error).message, long: LONG };
            }
          })
          .use(http.idempotent())
          .use((ctx) => {
            runs += 1;
            ctx.throw(runs === 1 ? 503 : 402, `failed ${runs}`);
          }),
      );
      const key = newKey();
      const encoded = { 'Accept-Encoding': 'gzip' };
      await post(key, encoded).expect(503);
      for (const replayed of [undefined, 'true']) {
        const { body, headers } = await post(key, encoded).expect(402);
        expect([body.handled, headers['idempotent-replayed']]).toEqual(['failed 2', replayed]);
      }
      expect((await post(key, { 'Accept-Encoding': 'identity' }).expect(402)).body.handled).toBe('failed 2');
      expect(runs).toBe(2);
    });

    test('a parser in front and one behind make the same request', async () => {
      const key = newKey();
      serve((app, http) => app.use(bodyParser()).use(http.idempotent()).use(answer));
      expect((await post(key)).body).toMatchObject({ runs: 1, body: { a: 1 } });
      serve((app, http) => app.use(http.idempotent()).use(bodyParser()).use(answer));
      expect((await post(key)).body).toMatchObject({ runs: 1, body: { a: 1 } });
      expect((await post(newKey())).body).toMatchObject({ runs: 2, body: { a: 1 } });
    });

    test('@koa/cors speaks for itself on each response, also on errors', async () => {
      serve((app, http) =>
        app
          .use(cors({ origin: (ctx) => ctx.get('Origin'), exposeHeaders: [...CORS_RESPONSE_HEADERS] }))
          .use(http.idempotent())
          .use((ctx) => {
            runs += 1;
            if (runs === 1) ctx.throw(500, 'bad luck');
            ctx.body = { runs };
          }),
      );
      const key = newKey();
      expect(
        (await post(key, { Origin: 'https://a.example' }).expect(500)).headers['access-control-allow-origin'],
      ).toBe('https://a.example');
      const first = await post(key, { Origin: 'https://a.example' }).expect(200);
      const again = await post(key, { Origin: 'https://b.example' }).expect(200);
      expect(again.text).toBe(first.text);
      expect(again.headers['idempotent-replayed']).toBe('true');
      expect(again.headers['access-control-allow-origin']).toBe('https://b.example');
      expect(String(again.headers['access-control-expose-headers'])).toContain('Idempotent-Replayed');
    });

    test('nested and mounted routers: the key belongs to the whole path, wherever the middleware stands', async () => {
      const flow = under.pawl.registerWorkflow(async () => 'x', { name: `flow-${name}` });
      const id = `a/b c ${name}`;
      await (await under.pawl.startWorkflow(flow, { workflowID: id })()).getResult();
      serve((app, http) => {
        const inner = new KoaRouter();
        inner.post('/things', http.idempotent() as never, bodyParser() as never, answer as never);
        const outer = new KoaRouter({ prefix: '/api' });
        outer.use('/v1', inner.routes());
        outer.use('/v2', inner.routes());
        outer.use('/flows', http.workflows({ authorize: () => true }).routes() as never);
        app.use(outer.routes() as never);
        app.use(mount('/mounted', http.idempotent()));
        app.use(mount('/flows', http.workflows({ authorize: () => true })));
        app.use(mount('/mounted', answer as Koa3.Middleware));
      });
      const key = newKey();
      expect((await post(key, {}, '/api/v1/things')).body).toMatchObject({ runs: 1, body: { a: 1 } });
      expect((await post(key, {}, '/api/v2/things')).body).toMatchObject({ runs: 2 });
      expect((await post(key, {}, '/api/v1/things')).body).toMatchObject({ runs: 1 });
      expect((await post(key, {}, '/mounted/things')).body).toMatchObject({ runs: 3 });
      expect((await post(key, {}, '/mounted/things')).headers['idempotent-replayed']).toBe('true');
      for (const path of ['/api/flows', '/flows']) {
        const found = await request(server as Server).get(`${path}/${encodeURIComponent(id)}/result`);
        expect([path, found.status, found.body]).toEqual([path, 200, 'x']);
        await request(server as Server)
          .get(`${path}/${encodeURIComponent(id)}/nothing`)
          .expect(404);
      }
    });

    test('what is thrown is answered by Koa: a 4xx is kept with its headers gone, a 5xx is not kept', async () => {
      serve((app, http) =>
        app.use(http.idempotent()).use(async (ctx) => {
          runs += 1;
          ctx.set('X-Before', 'gone');
          await pause(1);
          if (runs === 1) throw new Error('secret');
          ctx.throw(402, 'pay first', { headers: { 'X-Price': '7' } });
        }),
      );
      const key = newKey();
      expect((await post(key).expect(500)).text).toBe('Internal Server Error');
      for (const replayed of [undefined, 'true']) {
        const { text, headers } = await post(key).expect(402);
        expect([text, headers['x-price'], headers['x-before'], headers['idempotent-replayed']]).toEqual([
          'pay first',
          '7',
          undefined,
          replayed,
        ]);
      }
      expect(runs).toBe(2);
    });

    test.each<[string, (ctx: Context) => void]>([
      [
        'throws',
        () => {
          throw new Error('bad luck');
        },
      ],
      ['leaves a body that has no JSON', (ctx) => void (ctx.body = { count: 1n })],
    ])('a handler that %s when its client has gone leaves the key for another try', async (_, fail) => {
      const begun = gate();
      serve((app, http) =>
        app.use(http.idempotent()).use(async (ctx) => {
          runs += 1;
          if (runs > 1) {
            ctx.body = { runs };
            return;
          }
          begun.open();
          await once(ctx.req.socket, 'close');
          fail(ctx);
        }),
      );
      const key = newKey();
      await hangUp(post(key), begun.opened);
      await expect.poll(async () => (await post(key)).status).toBe(200);
      expect((await post(key)).body).toEqual({ runs: 2 });
    });

    test('strings, Buffers, explicit nulls, no body at all and 304 come back as they were', async () => {
      const answers: Record<string, (ctx: Context) => void> = {
        string: (ctx) => (ctx.body = '<p>ö</p>'),
        buffer: (ctx) => (ctx.body = Buffer.from([0, 255, 128])),
        null: (ctx) => void ((ctx.status = 200), (ctx.body = null)),
        none: (ctx) => void (ctx.status = 202),
        nothing: () => undefined,
        unchanged: (ctx) => void (ctx.status = 304),
        away: (ctx) => ctx.redirect('/elsewhere'),
      };
      serve((app, http) =>
        app.use(http.idempotent()).use((ctx) => answers[ctx.path.slice(1)]?.(ctx as Context)),
      );
      for (const path of Object.keys(answers)) {
        const key = newKey();
        const ask = () => post(key, {}, `/${path}`).redirects(0).buffer(true).parse(collect);
        const [first, again] = [await ask(), await ask()];
        const shown = ({ status, headers, body }: typeof first) => {
          const named = Object.entries(headers).filter(([name]) => !OF_ONE_RESPONSE.has(name));
          named.sort(([one], [other]) => (one < other ? -1 : 1));
          return { path, status, named, body: String(body as unknown) };
        };
        expect(shown(again)).toEqual(shown(first));
        expect(again.headers['idempotent-replayed']).toBe('true');
      }
    });

    test('a stream goes out live, and a retry is told', async () => {
      serve((app, http) =>
        app.use(http.idempotent()).use((ctx) => {
          runs += 1;
          ctx.body = Readable.from(['a', 'b']);
        }),
      );
      const key = newKey();
      const first = await post(key).buffer(true).parse(collect).expect(200);
      expect([String(first.body), first.headers['idempotency-stored']]).toEqual(['ab', 'false']);
      expect((await post(key).expect(409)).body.code).toBe('response-unavailable');
      expect(runs).toBe(1);
    });

    test('what goes past Koa (ctx.respond = false) is kept from the response itself', async () => {
      serve((app, http) =>
        app.use(http.idempotent()).use((ctx) => {
          runs += 1;
          ctx.respond = false;
          setTimeout(() => ctx.res.writeHead(202, { 'Content-Type': 'text/x-own' }).end('own'), 20);
        }),
      );
      const key = newKey();
      for (const replayed of [undefined, 'true']) {
        const { headers, body } = await post(key).buffer(true).parse(collect).expect(202);
        expect([String(body), headers['content-type'], headers['idempotent-replayed']]).toEqual([
          'own',
          'text/x-own',
          replayed,
        ]);
      }
      expect(runs).toBe(1);
    });

    test('over HTTP/2 a key is a key, and two of them are none', async () => {
      const app = new Koa();
      app
        .use(pawlKoa(under.pawl, { scope: 'global' }).idempotent())
        .use(bodyParser())
        .use(answer);
      const h2 = createHttp2Server(app.callback() as never).listen(0, '127.0.0.1');
      await once(h2, 'listening');
      const session = connect(`http://127.0.0.1:${(h2.address() as AddressInfo).port}`);
      const ask = async (key: string | string[], body: string) => {
        const stream = session.request({
          ':method': 'POST',
          ':path': '/things',
          'content-type': 'application/json',
          'idempotency-key': key as string,
        });
        stream.end(body);
        const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
        let text = '';
        for await (const chunk of stream) text += String(chunk);
        return { status: headers[':status'], replayed: headers['idempotent-replayed'], text };
      };
      const key = newKey();
      const first = await ask(key, '{"a":1}');
      expect([first.status, JSON.parse(first.text)]).toMatchObject([201, { runs: 1, body: { a: 1 } }]);
      expect(await ask(key, '{"a":1}')).toEqual({ ...first, replayed: 'true' });
      expect((await ask(key, '{"a":2}')).status).toBe(422);
      expect((await ask([key, key], '{"a":1}')).status).toBe(400);
      expect(runs).toBe(1);
      session.destroy();
      h2.close();
    });
  });
});
