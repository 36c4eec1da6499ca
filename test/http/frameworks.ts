// The same little app for each version of Express and of Koa, so that one suite of cases asks all the same questions.
// A case says what a handler answers; how a framework answers is told here.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { bodyParser } from '@koa/bodyparser';
import KoaRouter15 from '@koa/router';
import type { Pawl, Workflow } from '@pawl/core';
import type {
  Defaults,
  EndpointOptions,
  Idempotency,
  IdempotencyOptions,
  WebhookOptions,
  WorkflowRoutesOptions,
} from '@pawl/core/http';
import { pawlExpress } from '@pawl/express';
import { pawlKoa } from '@pawl/koa';
import express5, {
  type ErrorRequestHandler,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import express4 from 'express4';
import Koa3, { type Context, type Middleware } from 'koa';
import mount from 'koa-mount';
import KoaRouter12 from 'koa-router12';
import Koa2 from 'koa2';

/** What a case's handler learns of the request. */
export interface Asked {
  readonly body: unknown;
  readonly idempotency: Idempotency | undefined;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

export interface Answered {
  readonly status?: number;
  readonly headers?: Record<string, string | string[]>;
  readonly json?: unknown;
  readonly text?: string;
  /** The handler has answered through `outgoing`. */
  readonly raw?: true;
}

/** The options of a route, told of the framework's request only what both have. */
export interface Seen {
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
  readonly idempotency: Idempotency | undefined;
}

export type Parser = 'before' | 'behind' | 'none';

export interface App {
  idempotent(
    path: string,
    options: IdempotencyOptions<Seen>,
    handler: (asked: Asked) => Answered | Promise<Answered>,
    parser?: Parser,
  ): void;
  endpoint<A extends unknown[], R, V = R>(
    path: string,
    workflow: Workflow<A, R>,
    options?: EndpointOptions<Seen, A[0], V>,
  ): void;
  webhook<T>(path: string, options: WebhookOptions<T>, parser?: Parser): void;
  workflows(path: string, options: WorkflowRoutesOptions<Seen>): void;
  hooks(path: string): void;
  health(path: string): void;
}

export interface Framework {
  readonly name: string;
  readonly family: 'express' | 'koa';
  serve(pawl: Pawl, defaults: Defaults<Seen>, define: (app: App) => void): Server;
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

/** For cases that put an app together by hand. */
export const expresses = [
  { name: 'express5', express: express5 },
  { name: 'express4', express: express4 },
] as const;

/** The newest and the oldest versions that the adapter takes. */
export const koas: readonly { name: string; Koa: typeof Koa3; KoaRouter: typeof KoaRouter15 }[] = [
  { name: 'koa3', Koa: Koa3, KoaRouter: KoaRouter15 },
  { name: 'koa2', Koa: Koa2, KoaRouter: KoaRouter12 },
];

const onExpress = ({ name, express }: (typeof expresses)[number]): Framework => ({
  name,
  family: 'express',
  serve(pawl, defaults, define) {
    const app = express();
    const http = pawlExpress(pawl, defaults as unknown as Defaults<Request>);
    const json = express.json({ limit: '10mb' });
    const text = express.text();
    const around = (parser: Parser, middleware: RequestHandler): RequestHandler[] =>
      parser === 'before'
        ? [json, text, middleware]
        : parser === 'behind'
          ? [middleware, json, text]
          : [middleware];
    define({
      idempotent(path, options, handler, parser = 'behind') {
        const stack = around(parser, http.idempotent(options as unknown as IdempotencyOptions<Request>));
        const answer = async (req: Request, res: Response): Promise<void> => {
          const answered = await handler({
            body: req.body,
            idempotency: req.idempotency,
            incoming: req,
            outgoing: res,
          });
          if (answered.raw) return;
          res.status(answered.status ?? 200);
          for (const [name, value] of Object.entries(answered.headers ?? {})) res.setHeader(name, value);
          if ('json' in answered) res.json(answered.json);
          else if (answered.text === undefined) res.end();
          else res.send(answered.text);
        };
        // Express 4 does not see a promise that rejects.
        const last: RequestHandler = (req, res, next) => void answer(req, res).catch(next);
        for (const method of METHODS) app[method](path, ...stack, last);
      },
      endpoint: (path, workflow, options = {}) =>
        void app.all(path, http.endpoint(workflow, options as never)),
      webhook: (path, options, parser = 'none') =>
        void app.all(path, ...around(parser, http.webhook(options))),
      workflows: (path, options) =>
        void app.use(path, http.workflows(options as unknown as WorkflowRoutesOptions<Request>)),
      hooks: (path) => void app.use(path, http.hooks()),
      health: (path) => void app.use(path, http.health()),
    });
    app.use(((error, _req, res, next) => {
      if (res.headersSent) next(error);
      else res.status((error as { status?: number }).status ?? 500).json({ error: (error as Error).message });
    }) as ErrorRequestHandler);
    return createServer(app);
  },
});

const onKoa = ({ name, Koa, KoaRouter }: (typeof koas)[number]): Framework => ({
  name,
  family: 'koa',
  serve(pawl, defaults, define) {
    const app = new Koa();
    app.silent = true;
    const router = new KoaRouter();
    const http = pawlKoa(pawl, seenBy(defaults));
    const parse = bodyParser({ enableTypes: ['json', 'text'], jsonLimit: '10mb', textLimit: '10mb' });
    const around = (parser: Parser, middleware: Middleware): Middleware[] =>
      parser === 'before' ? [parse, middleware] : parser === 'behind' ? [middleware, parse] : [middleware];
    app.use(async (ctx, next) => {
      try {
        await next();
      } catch (error) {
        ctx.status = (error as { status?: number }).status ?? 500;
        ctx.body = { error: (error as Error).message };
      }
    });
    const all = (path: string, stack: Middleware[]): void => {
      router.all(path, ...(stack as never[]));
    };
    define({
      idempotent(path, options, handler, parser = 'behind') {
        const last: Middleware = async (ctx: Context) => {
          const answered = await handler({
            body: (ctx.request as { body?: unknown }).body,
            idempotency: ctx.idempotency,
            incoming: ctx.req,
            outgoing: ctx.res,
          });
          if (answered.raw) {
            ctx.respond = false;
            return;
          }
          ctx.status = answered.status ?? 200;
          if ('json' in answered) ctx.body = answered.json;
          else ctx.body = answered.text ?? null;
          ctx.status = answered.status ?? 200;
          for (const [name, value] of Object.entries(answered.headers ?? {})) ctx.set(name, value);
        };
        all(path, [...around(parser, http.idempotent(seenBy(options))), last]);
      },
      endpoint: (path, workflow, options = {}) => all(path, [http.endpoint(workflow, seenBy(options))]),
      webhook: (path, options, parser = 'none') => all(path, around(parser, http.webhook(options))),
      workflows: (path, options) => void app.use(mount(path, http.workflows(seenBy(options)))),
      hooks: (path) => void app.use(mount(path, http.hooks())),
      health: (path) => void app.use(mount(path, http.health())),
    });
    app.use(router.routes());
    return createServer(app.callback());
  },
});

/** Options whose functions take what both frameworks have, as options whose functions take a Koa context. */
function seenBy(options: object): never {
  const wrapped = Object.entries(options).map(([name, value]) => {
    if (typeof value !== 'function') return [name, value];
    const see = (given: unknown): unknown =>
      typeof given === 'object' && given !== null && 'req' in given && 'res' in given
        ? seen(given as Context)
        : given;
    return [
      name,
      (...args: unknown[]): unknown => (value as (...args: unknown[]) => unknown)(...args.map(see)),
    ];
  });
  return Object.fromEntries(wrapped) as never;
}

function seen(ctx: Context): Seen {
  return {
    headers: ctx.headers,
    body: (ctx.request as { body?: unknown }).body,
    idempotency: ctx.idempotency,
  };
}

export const frameworks: readonly Framework[] = [...expresses.map(onExpress), ...koas.map(onKoa)];
