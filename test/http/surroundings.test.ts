// What apps put around the routes: compression, mount points, nested routers, error middleware.
import { createServer, type Server } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { bodyParser } from '@koa/bodyparser';
import KoaRouter from '@koa/router';
import { pawlExpress } from '@pawl/express';
import { pawlKoa } from '@pawl/koa';
import compression from 'compression';
import express from 'express';
import Koa from 'koa';
import compress from 'koa-compress';
import mount from 'koa-mount';
import request from 'supertest';
import { afterEach, describe, expect, test } from 'vitest';
import { appUnderTest } from './app-under-test.ts';
import { type Framework, frameworks } from './frameworks.ts';

const long = { text: 'x'.repeat(5000) };

describe('around the routes', () => {
  const under = appUnderTest(frameworks[0] as Framework);
  let server: Server | undefined;
  let runs = 0;
  let patience = 0;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
    runs = 0;
    patience = 0;
  });

  function listen(handler: Parameters<typeof createServer>[1]): Server {
    server = createServer(handler).listen(0, '127.0.0.1');
    return server;
  }
  const send = (key: string, encoding: string) =>
    request(server as Server)
      .post('/api/things')
      .set({ 'Idempotency-Key': key, 'Accept-Encoding': encoding })
      .send({ a: 1 });

  function expressApp(): Server {
    const http = pawlExpress(under.pawl, { scope: 'global' });
    const app = express();
    app.use(compression({ threshold: 0 }));
    const api = express.Router();
    api.use(http.idempotent());
    api.use(express.json());
    api.post('/things', (req, res) => {
      runs += 1;
      setTimeout(() => res.status(201).json({ ...long, body: req.body as unknown }), patience);
    });
    app.use('/api', api);
    app.use('/flows', http.workflows({ authorize: () => true }));
    return listen(app);
  }

  function koaApp(): Server {
    const http = pawlKoa(under.pawl, { scope: 'global' });
    const app = new Koa();
    app.silent = true;
    app.use(compress({ threshold: 0 }));
    const api = new KoaRouter();
    api.post('/things', http.idempotent(), bodyParser(), async (ctx) => {
      runs += 1;
      await pause(patience);
      ctx.status = 201;
      ctx.body = { ...long, body: (ctx.request as { body?: unknown }).body };
    });
    const router = new KoaRouter();
    router.use('/api', api.routes());
    router.use('/flows', http.workflows({ authorize: () => true }).routes());
    app.use(router.routes());
    app.use(mount('/mounted', http.workflows({ authorize: () => true })));
    return listen(app.callback());
  }

  describe.each([
    ['express', expressApp],
    ['koa', koaApp],
  ])('on %s', (name, start) => {
    test('behind compression the record has plain bytes, for a client that asks for any encoding', async () => {
      start();
      const key = `${name}-compressed`;
      const first = await send(key, 'gzip').expect(201);
      expect(first.headers['content-encoding']).toBe('gzip');
      const plain = await send(key, 'identity').expect(201);
      expect(plain.headers['content-encoding']).toBeUndefined();
      expect(plain.headers['idempotent-replayed']).toBe('true');
      const brotli = await send(key, 'br').expect(201);
      expect(brotli.headers['content-encoding']).toBe('br');
      expect(plain.body).toEqual({ ...long, body: { a: 1 } });
      expect(first.body).toEqual(plain.body);
      expect(brotli.body).toEqual(plain.body);
      expect(runs).toBe(1);
    });

    test('behind compression and with a client that has gone, too', async () => {
      start();
      patience = 300;
      const key = `${name}-gone`;
      await expect(send(key, 'gzip').timeout(100)).rejects.toThrow(/[Tt]imeout/);
      await pause(500);
      const again = await send(key, 'identity').expect(201);
      expect(again.headers['idempotent-replayed']).toBe('true');
      expect(again.body).toEqual({ ...long, body: { a: 1 } });
      expect(runs).toBe(1);
    });

    test('the workflow routes work mounted at any path', async () => {
      start();
      const flow = under.pawl.registerWorkflow(async () => 'x', { name: `flow-${name}` });
      const id = `a/b c ${name}`;
      await (await under.pawl.startWorkflow(flow, { workflowID: id })()).getResult();
      const mounts = name === 'koa' ? ['/flows', '/mounted'] : ['/flows'];
      for (const path of mounts) {
        const found = await request(server as Server).get(`${path}/${encodeURIComponent(id)}/result`);
        expect([path, found.status, found.body]).toEqual([path, 200, 'x']);
        await request(server as Server)
          .get(`${path}/${encodeURIComponent(id)}/nothing`)
          .expect(404);
      }
    });
  });

  test('an express error handler sees a failed handler, and its 4xx is recorded', async () => {
    const http = pawlExpress(under.pawl, { scope: 'global' });
    const app = express();
    app.post('/api/things', http.idempotent(), () => {
      runs += 1;
      throw Object.assign(new Error('teapot'), { status: 418 });
    });
    app.use(((error: Error, _req, res, _next) => {
      res.status(418).json({ handled: error.message });
    }) as express.ErrorRequestHandler);
    listen(app);
    const first = await send('handled', 'identity').expect(418);
    const again = await send('handled', 'identity').expect(418);
    expect(again.text).toBe(first.text);
    expect(runs).toBe(1);
  });

  test('a koa stream body goes out live', async () => {
    const http = pawlKoa(under.pawl, { scope: 'global' });
    const app = new Koa();
    const { Readable } = await import('node:stream');
    app.use(http.idempotent());
    app.use((ctx) => {
      runs += 1;
      ctx.body = Readable.from(['a', 'b']);
    });
    listen(app.callback());
    const first = await send('stream', 'identity').expect(200);
    expect(first.headers['idempotency-stored']).toBe('false');
    await send('stream', 'identity').expect(409);
    expect(runs).toBe(1);
  });

  test("koa's own error response is recorded when it is a 4xx, and so are explicit nulls", async () => {
    const http = pawlKoa(under.pawl, { scope: 'global' });
    const app = new Koa();
    app.silent = true;
    app.use(http.idempotent());
    app.use((ctx) => {
      runs += 1;
      if (ctx.get('x-null')) {
        ctx.status = 200;
        ctx.body = null;
      } else ctx.throw(402, 'pay first');
    });
    listen(app.callback());
    const first = await send('koa-402', 'identity').expect(402);
    const again = await send('koa-402', 'identity').expect(402);
    expect(again.text).toBe(first.text);
    expect(again.text).toBe('pay first');
    const empty = await send('koa-null', 'identity').set('X-Null', '1');
    const emptyAgain = await send('koa-null', 'identity').set('X-Null', '1');
    expect([emptyAgain.status, emptyAgain.text]).toEqual([empty.status, empty.text]);
    expect(runs).toBe(2);
  });
});
