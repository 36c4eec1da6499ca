// Webhooks beside body parsers: the signature is over the bytes as they came. Whatever is in front, the answer is about
// the signature only if the bytes are there; else it says which parser is in the way and what to do.
import { createServer, type RequestListener, type Server } from 'node:http';
import { bodyParser } from '@koa/bodyparser';
import KoaRouter from '@koa/router';
import { Pawl } from '@pawl/core';
import { pawlExpress, verify } from '@pawl/express';
import { pawlKoa } from '@pawl/koa';
import { createEmbedded } from '@pawl/test-support';
import express5, { type RequestHandler } from 'express';
import express4 from 'express4';
import Koa, { type Middleware } from 'koa';
import request from 'supertest';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { SECRET, signed } from './webhook-sender.ts';

let pawl: Pawl;
let close: () => Promise<void>;
let server: Server;
const logged: string[] = [];
const log = (...said: unknown[]): void => void logged.push(said.map(String).join(' '));

beforeAll(async () => {
  const database = await createEmbedded();
  pawl = new Pawl({ database, logger: { debug() {}, info() {}, warn: log, error: log } });
  await pawl.launch();
  close = () => database.close();
});
afterAll(async () => {
  await pawl.shutdown({ graceSeconds: 0 });
  await close();
});
afterEach(async () => {
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
});

const options = (seen: unknown[] = []) => ({
  name: 'bodies',
  verify: verify.standardWebhooks({ secrets: SECRET }),
  route: ({ data }: { data: unknown }) => (seen.push(data), null),
});

function listen(app: RequestListener): void {
  server = createServer(app).listen(0, '127.0.0.1');
}

const BODY = '{"type":"paid",  "note":"caf\u00e9 \\u0041 1.0"}';

function post(
  body: string | Buffer = BODY,
  type = 'application/json',
  sign: string | Buffer = body,
): request.Test {
  return request(server)
    .post('/hooks')
    .set({ 'content-type': type, ...signed(sign) })
    .serialize((given: unknown) => given as string)
    .send(body as string);
}

const keep = (req: object, _res: unknown, buffer: Buffer): void =>
  void Object.assign(req, { rawBody: buffer });

describe.each([
  ['Express 5', express5],
  ['Express 4', express4],
])('%s', (_, express) => {
  function serve(before: RequestHandler[], behind: RequestHandler[] = []): unknown[] {
    const seen: unknown[] = [];
    const app = express();
    app.post('/hooks', ...before, pawlExpress(pawl, { scope: 'global' }).webhook(options(seen)), ...behind);
    listen(app);
    return seen;
  }

  test.each<[string, () => RequestHandler[]]>([
    ['nothing', () => []],
    ['express.raw()', () => [express.raw({ type: '*/*' })]],
    ['express.json() that keeps rawBody', () => [express.json({ verify: keep })]],
    ['express.text() that keeps rawBody', () => [express.text({ type: '*/*', verify: keep })]],
    ['a parser of another type', () => [express.urlencoded({ extended: false })]],
  ])('behind %s the signature is checked over the bytes', async (_name, before) => {
    const seen = serve(before());
    await post().expect(200);
    expect(seen).toEqual([JSON.parse(BODY)]);
    expect((await post(BODY, undefined, `${BODY} `).expect(401)).body.code).toBe('signature-invalid');
  });

  test.each<[string, RegExp, string, () => RequestHandler]>([
    ['express.json()', /express\.json\(\) in front/, 'application/json', () => express.json()],
    ['express.text()', /express\.text\(\) in front/, 'application/json', () => express.text({ type: '*/*' })],
    [
      'express.urlencoded()',
      /express\.urlencoded\(\) in front/,
      'application/x-www-form-urlencoded',
      () => express.urlencoded({ extended: false }),
    ],
  ])(
    'behind %s it is 500, for right and wrong signatures, names it and the fix',
    async (_name, says, type, parser) => {
      const seen = serve([parser()]);
      for (const sign of [BODY, 'another']) {
        const refused = await post(BODY, type, sign).expect(500);
        expect(refused.headers['content-type']).toMatch('application/problem+json');
        expect(refused.body).toMatchObject({ code: 'body-unavailable', retryable: true });
        expect(refused.body.detail).toMatch(says);
        expect(refused.body.detail).toMatch(/in front of the parser.*verify: \(req, res, buffer\)/);
        expect(logged.at(-1)).toBe(refused.body.detail);
      }
      expect(seen).toEqual([]);
    },
  );

  test('a parser for the whole app does no harm behind the route, nor does the route to other routes', async () => {
    const app = express();
    const http = pawlExpress(pawl, { scope: 'global' });
    const seen: unknown[] = [];
    app.post('/hooks', http.webhook(options(seen)));
    app.use(express.json());
    app.post('/other', (req, res) => void res.json({ got: req.body as unknown }));
    listen(app);
    await post().expect(200);
    await request(server)
      .post('/other')
      .send({ a: 1 })
      .expect(200, { got: { a: 1 } });
    expect(seen).toHaveLength(1);
  });

  test('what it read is there, parsed, for whoever looks later', async () => {
    const bodies: unknown[] = [];
    const app = express();
    app.use((req, res, next) => {
      res.on('finish', () => bodies.push(req.body));
      next();
    });
    app.post('/hooks', pawlExpress(pawl, { scope: 'global' }).webhook(options()));
    listen(app);
    await post().expect(200);
    await expect.poll(() => bodies).toEqual([JSON.parse(BODY)]);
  });

  test('an error of the route goes to the error middleware, as it is', async () => {
    const errors: unknown[] = [];
    const thrown = new Error('no such order');
    const app = express();
    app.post(
      '/hooks',
      pawlExpress(pawl, { scope: 'global' }).webhook({
        ...options(),
        route: () => {
          throw thrown;
        },
      }),
    );
    app.use(((error, _req, res, _next) => {
      errors.push(error);
      res.status(500).json({ ours: true });
    }) as express5.ErrorRequestHandler);
    listen(app);
    await post().expect(500, { ours: true });
    expect(errors).toEqual([thrown]);
    expect(errors[0]).toBe(thrown);
  });
});

describe('Koa', () => {
  function serve(before: Middleware[], seen: unknown[] = []): unknown[] {
    const app = new Koa();
    const router = new KoaRouter();
    router.post('/hooks', pawlKoa(pawl, { scope: 'global' }).webhook(options(seen)));
    for (const middleware of before) app.use(middleware);
    app.use(router.routes());
    app.silent = true;
    listen(app.callback());
    return seen;
  }
  const parseAll = () => bodyParser({ enableTypes: ['json', 'text', 'form'] });

  test.each<[string, () => Middleware[]]>([
    ['nothing', () => []],
    ['@koa/bodyparser, which keeps the text', () => [parseAll()]],
  ])('behind %s the signature is checked over the bytes', async (_, before) => {
    const seen = serve(before());
    await post().expect(200);
    expect(seen).toEqual([JSON.parse(BODY)]);
    await post(BODY, undefined, `${BODY} `).expect(401);
    const replaced = '{"text":"was \uFFFD before it came"}';
    await post(replaced).expect(200);
  });

  test('where the kept text is not all of the bytes it is 500 and not 401', async () => {
    serve([parseAll()]);
    const latin = Buffer.from('{"name":"caf\u00e9"}', 'latin1');
    const marked = Buffer.from('\uFEFF{"type":"paid"}');
    for (const [body, type] of [
      [latin, 'application/json; charset=iso-8859-1'],
      [latin, 'application/json'],
      [marked, 'application/json'],
    ] as const) {
      const refused = await post(body, type);
      expect([refused.status, refused.body.code]).toEqual([500, 'body-unavailable']);
      expect(refused.body.detail).toMatch(/@koa\/bodyparser/);
    }
  });

  test('behind a parser that keeps nothing it is 500, and says what to do', async () => {
    const careless: Middleware = async (ctx, next) => {
      const chunks: Buffer[] = [];
      for await (const chunk of ctx.req) chunks.push(chunk as Buffer);
      Object.assign(ctx.request, { body: JSON.parse(Buffer.concat(chunks).toString()) as unknown });
      await next();
    };
    const seen = serve([careless]);
    const refused = await post().expect(500);
    expect(refused.body).toMatchObject({ code: 'body-unavailable' });
    expect(refused.body.detail).toMatch(/in front of the parser.*@koa\/bodyparser/);
    expect(seen).toEqual([]);
  });

  test('an error of the route is thrown, as it is', async () => {
    const thrown = Object.assign(new Error('no such order'), { status: 418, expose: true });
    const app = new Koa();
    const errors: unknown[] = [];
    app.on('error', (error) => errors.push(error));
    app.use(
      pawlKoa(pawl, { scope: 'global' }).webhook({
        ...options(),
        route: () => {
          throw thrown;
        },
      }),
    );
    listen(app.callback());
    await post().expect(418, 'no such order');
    expect(errors[0]).toBe(thrown);
  });
});

test('neither a log nor an answer has the secret or a signature in it', () => {
  expect(logged.length).toBeGreaterThan(0);
  const all = logged.join('\n');
  expect(all).not.toContain(SECRET.slice(6));
  expect(all).not.toMatch(/v1,/);
});
