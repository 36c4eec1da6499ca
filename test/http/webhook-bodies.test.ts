// Webhooks beside body parsers: the signature is over the bytes as they came. Whatever is in front, the answer is about
// the signature only if the bytes are there; else it says which parser is in the way and what to do.
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
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
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
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

/** A request as it goes over the wire; the first answer's status. `cut`: the client goes after what it has sent. */
function wire(parts: readonly (string | Buffer)[], { cut = false } = {}): Promise<number | 'cut'> {
  return new Promise((resolve, reject) => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.setNoDelay(true);
    let answer = '';
    socket.on('data', (data) => {
      answer += data.toString('latin1');
      const status = /^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1];
      if (status === undefined || status === '100') return;
      resolve(Number(status));
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve('cut'));
    const send = (index: number): void => {
      const part = parts[index];
      if (part !== undefined) socket.write(part, () => setImmediate(send, index + 1));
      else if (cut) socket.destroy();
    };
    send(0);
  });
}

describe('over the wire', () => {
  const seen: unknown[] = [];
  const head = (headers: Record<string, string>, more: string[] = []): string =>
    [
      'POST /hooks HTTP/1.1',
      'Host: shop',
      'Content-Type: application/json',
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      ...more,
      '\r\n',
    ].join('\r\n');
  const length = `Content-Length: ${Buffer.byteLength(BODY)}`;
  const chunk = (text: string): Buffer =>
    Buffer.concat([Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n`), Buffer.from(`${text}\r\n`)]);

  beforeEach(async () => {
    seen.length = 0;
    listen(
      express5().post(
        '/hooks',
        pawlExpress(pawl, { scope: 'global' }).webhook({ ...options(seen), maxBodyBytes: 200 }),
      ),
    );
    await once(server, 'listening');
  });

  test('a body that comes byte by byte, or in chunks, is as one that comes at once', async () => {
    const bytes = [...Buffer.from(BODY)].map((byte) => Buffer.of(byte));
    expect(await wire([head(signed(BODY), [length]), ...bytes])).toBe(200);
    const chunks = [BODY.slice(0, 5), BODY.slice(5)].map(chunk);
    expect(await wire([head(signed(BODY), ['Transfer-Encoding: chunked']), ...chunks, '0\r\n\r\n'])).toBe(
      200,
    );
    expect(seen).toEqual([JSON.parse(BODY), JSON.parse(BODY)]);
  });

  test('one that is too large is 413, said before it comes or found on the way', async () => {
    const large = JSON.stringify('x'.repeat(500));
    expect(await wire([head(signed(large), [`Content-Length: ${large.length}`])])).toBe(413);
    const chunks = [large.slice(0, 150), large.slice(150)].map(chunk);
    expect(await wire([head(signed(large), ['Transfer-Encoding: chunked']), ...chunks, '0\r\n\r\n'])).toBe(
      413,
    );
    expect(seen).toEqual([]);
  });

  test('a sender that goes away in the middle leaves nothing, and the next one is served', async () => {
    expect(await wire([head(signed(BODY), [length]), BODY.slice(0, 9)], { cut: true })).toBe('cut');
    expect(await wire([head(signed(BODY), [length]), BODY])).toBe(200);
    expect(seen).toHaveLength(1);
  });

  test('a header of the signature that comes twice is 401, whichever of both is right', async () => {
    const right = signed(BODY);
    for (const name of Object.keys(right)) {
      const other = name === 'webhook-signature' ? 'v1,AAAA' : '1';
      for (const pair of [
        [right[name], other],
        [other, right[name]],
      ]) {
        const headers = { ...right, [name]: pair[0] as string };
        expect([name, await wire([head(headers, [`${name}: ${pair[1]}`, length]), BODY])]).toEqual([
          name,
          401,
        ]);
      }
    }
    expect(seen).toEqual([]);
  });

  test('500 deliveries with something changed at random: none is taken', async () => {
    let state = 42;
    const below = (limit: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (state >>> 8) % limit;
    };
    const letters = 'abcXYZ019+/=,. v1-';
    const change = (text: string): string => {
      const at = below(text.length);
      const letter = letters[below(letters.length)] as string;
      return below(2) === 0
        ? text.slice(0, at) + letter + text.slice(at + 1)
        : text.slice(0, at) + letter + text.slice(at);
    };
    const statuses = new Map<number, number>();
    for (let n = 0; n < 500;) {
      const right = signed(BODY);
      const headers = { ...right };
      let body = BODY;
      const names = Object.keys(headers);
      const name = names[below(names.length + 1)];
      if (name === undefined) body = change(body);
      else headers[name] = change(headers[name] as string);
      // White space around a header's value is no part of it.
      if (body === BODY && names.every((each) => headers[each]?.trim() === right[each])) continue;
      n += 1;
      const { status } = await post(body, undefined, BODY).set(headers);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect([...statuses]).toEqual([[401, 500]]);
    expect(seen).toEqual([]);
  });
});

test('neither a log nor an answer has the secret or a signature in it', () => {
  expect(logged.length).toBeGreaterThan(0);
  const all = logged.join('\n');
  expect(all).not.toContain(SECRET.slice(6));
  expect(all).not.toMatch(/v1,/);
});
