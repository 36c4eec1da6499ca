// What Express apps put around `http.idempotent()`: parsers, compression, CORS, security headers, uploads, mount points,
// error middleware. The order is the documented one unless a case says otherwise.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { CORS_REQUEST_HEADERS, CORS_RESPONSE_HEADERS, type PawlExpress, pawlExpress } from '@pawl/express';
import compression from 'compression';
import cors from 'cors';
import express5, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import multer from 'multer';
import request from 'supertest';
import { afterEach, describe, expect, test } from 'vitest';
import { appUnderTest, gate } from './app-under-test.ts';
import { expresses, type Framework, frameworks } from './frameworks.ts';
import { collect } from './wire.ts';

const LONG = 'x'.repeat(5000);

describe('around the routes of Express', () => {
  const under = appUnderTest(frameworks[0] as Framework);

  describe.each(expresses)('on $name', ({ name, express }) => {
    let server: Server;
    let runs = 0;
    let keys = 0;
    afterEach(() => {
      server.closeAllConnections();
      server.close();
      runs = 0;
    });

    function serve(define: (app: Express, http: PawlExpress) => void): void {
      const app = express();
      define(app, pawlExpress(under.pawl, { scope: 'global' }));
      server = createServer(app).listen(0, '127.0.0.1');
    }
    const newKey = (): string => `${name}-${(keys += 1)}`;
    const post = (key: string, headers: Record<string, string> = {}, path = '/things') =>
      request(server)
        .post(path)
        .set({ 'Idempotency-Key': key, ...headers })
        .send({ a: 1 });
    const answer: RequestHandler = (req, res) => {
      runs += 1;
      res.status(201).json({ runs, body: req.body as unknown, long: LONG });
    };

    test('behind compression the record has plain bytes, for a client that asks for any encoding', async () => {
      serve((app, http) => {
        app.use(compression({ threshold: 0 }));
        app.post('/things', http.idempotent(), express.json(), answer);
      });
      const key = newKey();
      const wanted = { runs: 1, body: { a: 1 }, long: LONG };
      for (const encoding of ['gzip', 'identity', 'br', 'gzip']) {
        const { headers, body, status } = await post(key, { 'Accept-Encoding': encoding });
        expect([status, headers['content-encoding'] ?? 'identity']).toEqual([201, encoding]);
        expect(body).toEqual(wanted);
      }
      expect(runs).toBe(1);
    });

    test('behind compression and with a client that has gone, too', async () => {
      const begun = gate();
      serve((app, http) => {
        app.use(compression({ threshold: 0 }));
        app.post('/things', http.idempotent(), express.json(), (req, res, next) => {
          begun.open();
          void once(req.socket, 'close').then(() => answer(req, res, next));
        });
      });
      const key = newKey();
      const asked = post(key, { 'Accept-Encoding': 'gzip' });
      const cut = expect(asked).rejects.toThrow('Aborted');
      await begun.opened;
      asked.abort();
      await cut;
      await expect.poll(async () => (await post(key)).status).toBe(201);
      expect((await post(key, { 'Accept-Encoding': 'identity' })).body).toMatchObject({ runs: 1 });
      expect(runs).toBe(1);
    });

    test('compression behind the middleware is taken off the record', async () => {
      serve((app, http) => {
        app.post('/things', http.idempotent(), compression({ threshold: 0 }), express.json(), answer);
      });
      const key = newKey();
      expect((await post(key, { 'Accept-Encoding': 'gzip' })).body).toMatchObject({ runs: 1 });
      const plain = await post(key, { 'Accept-Encoding': 'identity' });
      expect([plain.status, plain.headers['content-encoding']]).toEqual([201, undefined]);
      expect(plain.body).toMatchObject({ runs: 1, body: { a: 1 } });
    });

    test('parsers in front and behind, also one that keeps the bytes, make the same request', async () => {
      const key = newKey();
      const before = [express.json(), express.raw({ type: 'application/json' })];
      for (const parser of before) {
        serve((app, http) => void app.post('/things', parser, http.idempotent(), answer));
        expect((await post(key)).body).toMatchObject({ runs: 1 });
      }
      for (const parser of before) {
        serve((app, http) => void app.post('/things', http.idempotent(), parser, answer));
        expect((await post(key)).body).toMatchObject({ runs: 1 });
      }
      expect(runs).toBe(1);
    });

    test('cors and helmet speak for themselves on each response, and are not in the record', async () => {
      const options = {
        origin: ['https://a.example', 'https://b.example'],
        allowedHeaders: [...CORS_REQUEST_HEADERS],
        exposedHeaders: [...CORS_RESPONSE_HEADERS],
      };
      serve((app, http) => {
        app.use(helmet(), cors(options));
        app.post('/things', http.idempotent(), express.json(), answer);
      });
      const asked = await request(server).options('/things').set({
        Origin: 'https://a.example',
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'content-type,idempotency-key,prefer',
      });
      const allowed = String(asked.headers['access-control-allow-headers']).toLowerCase().split(',');
      expect(allowed).toEqual(expect.arrayContaining(['content-type', 'idempotency-key', 'prefer']));
      const key = newKey();
      const first = await post(key, { Origin: 'https://a.example' });
      const again = await post(key, { Origin: 'https://b.example' });
      expect(again.text).toBe(first.text);
      expect(again.headers['access-control-allow-origin']).toBe('https://b.example');
      const exposed = String(again.headers['access-control-expose-headers']).toLowerCase().split(',');
      for (const header of ['idempotent-replayed', 'idempotency-stored', 'location', 'retry-after'])
        expect(exposed).toContain(header);
      expect(again.headers['content-security-policy']).toBe(first.headers['content-security-policy']);
      expect(String(again.headers['vary']).split(',')).toHaveLength(1);
      const [record] = await under.sql(
        `SELECT headers FROM pawl.http_request WHERE state = 'done' ORDER BY completed_at DESC LIMIT 1`,
      );
      expect(String(record?.['headers'])).not.toMatch(/security|access-control|x-frame/i);
    });

    test('an upload reaches multer whole, and is made once', async () => {
      const upload = multer({ storage: multer.memoryStorage() });
      serve((app, http) => {
        app.post('/things', http.idempotent(), upload.single('file'), (req, res) => {
          runs += 1;
          res.json({ runs, name: req.body.name as string, size: req.file?.size });
        });
      });
      const key = newKey();
      const send = (content: Buffer) =>
        request(server)
          .post('/things')
          .set('Idempotency-Key', key)
          .field('name', 'ö')
          .attach('file', content, 'f.bin');
      const first = await send(Buffer.alloc(100_000, 1)).expect(200);
      expect(first.body).toEqual({ runs: 1, name: 'ö', size: 100_000 });
      // A client draws another boundary for each try.
      expect((await send(Buffer.alloc(100_000, 1)).expect(200)).text).toBe(first.text);
      await send(Buffer.alloc(100_000, 2)).expect(422);
      expect(runs).toBe(1);
    });

    test('mounted routers: the key belongs to the whole path, wherever the middleware stands', async () => {
      serve((app, http) => {
        const inner = express.Router();
        inner.use(http.idempotent());
        inner.use(express.json());
        inner.post('/things', answer);
        const outer = express.Router();
        outer.use('/v1', inner);
        outer.use('/v2', inner);
        app.use('/api', outer);
      });
      const key = newKey();
      expect((await post(key, {}, '/api/v1/things')).body).toMatchObject({ runs: 1, body: { a: 1 } });
      expect((await post(key, {}, '/api/v2/things')).body).toMatchObject({ runs: 2 });
      expect((await post(key, {}, '/api/v1/things')).body).toMatchObject({ runs: 1 });
    });

    test('error middleware sees what fails: its 4xx is recorded, its 5xx leaves the key for another try', async () => {
      serve((app, http) => {
        app.post('/things', http.idempotent(), express.json(), (_req, _res, next) => {
          runs += 1;
          // A handler that rejects: Express 5 passes that on itself, in Express 4 a wrapper does.
          Promise.reject(
            Object.assign(new Error(`failed ${runs}`), { status: runs === 1 ? 503 : 418 }),
          ).catch(next);
        });
        app.use(((error: Error & { status: number }, _req, res, _next) => {
          res.status(error.status).json({ handled: error.message });
        }) as ErrorRequestHandler);
      });
      const key = newKey();
      expect((await post(key).expect(503)).body).toEqual({ handled: 'failed 1' });
      for (const replayed of [undefined, 'true']) {
        const { body, headers } = await post(key).expect(418);
        expect([body, headers['idempotent-replayed']]).toEqual([{ handled: 'failed 2' }, replayed]);
      }
      expect(runs).toBe(2);
    });

    test('without error middleware a failed handler is what Express makes of it, and may be tried again', async () => {
      serve((app, http) => {
        app.set('env', 'test');
        app.post('/things', http.idempotent(), (_req, res) => {
          runs += 1;
          if (runs === 1) throw new Error('bad luck');
          res.sendStatus(201);
        });
      });
      const key = newKey();
      await post(key).expect(500);
      const second = await post(key).expect(201);
      expect((await post(key).expect(201)).text).toBe(second.text);
      expect(runs).toBe(2);
    });

    test('a piped file goes out live; res.send of a Buffer, redirect and 304 are kept', async () => {
      const bytes = Buffer.from([0, 255, 128, 10]);
      serve((app, http) => {
        app.use(http.idempotent());
        app.post('/file', (_req, res) => res.sendFile(new URL(import.meta.url).pathname));
        app.post('/bytes', (_req, res) => void res.type('application/x-own').send(bytes));
        app.post('/away', (_req, res) => res.redirect(303, '/elsewhere'));
      });
      const key = newKey();
      const file = await post(key, {}, '/file').buffer(true).expect(200);
      expect(file.headers['idempotency-stored']).toBe('false');
      expect((await post(key, {}, '/file').expect(409)).body.code).toBe('response-unavailable');
      for (const replayed of [undefined, 'true']) {
        const sent = await post(key, {}, '/bytes').buffer(true).parse(collect).expect(200);
        expect([(sent.body as Buffer).equals(bytes), sent.headers['content-type']]).toEqual([
          true,
          'application/x-own',
        ]);
        const away = await post(key, {}, '/away').expect(303);
        expect([away.headers['location'], away.headers['idempotent-replayed']]).toEqual([
          '/elsewhere',
          replayed,
        ]);
      }
    });

    test('Location names the routes where they are said to be; where that is wrong, the log says so once', async () => {
      const warnings: string[] = [];
      const warn = under.pawl.logger.warn;
      under.pawl.logger.warn = (text: unknown) => void warnings.push(String(text));
      try {
        const flow = under.pawl.registerWorkflow(async () => 'x', { name: `flow-${name}` });
        for (const workflowsPath of ['/api/flows', undefined]) {
          const http = pawlExpress(under.pawl, { scope: 'global', workflowsPath });
          serve((app) => {
            const api = express.Router();
            api.post('/flow', http.endpoint(flow));
            api.use('/flows', http.workflows({ authorize: () => true }));
            app.use('/api', api);
          });
          const { headers } = await post(newKey(), { Prefer: 'respond-async' }, '/api/flow').expect(202);
          const id = String(headers['location']).split('/').at(-1);
          expect(headers['location']).toBe(`${workflowsPath ?? '/workflows'}/${id}`);
          for (let tries = 0; tries < 2; tries += 1)
            await request(server).get(`/api/flows/${id}`).expect(200);
          expect(warnings.length).toBe(workflowsPath === undefined ? 1 : 0);
        }
        expect(warnings[0]).toMatch(/asked for \/api\/flows\/.*workflowsPath/);
      } finally {
        under.pawl.logger.warn = warn;
      }
    });
  });

  test('the newest Express is the one that the adapter is made with', () => {
    expect(expresses[0].express).toBe(express5);
  });
});
