// One app with one route, POST /orders, in Express and in Koa: what a contender puts there, behind the usual body parser.
import { createServer, type Server } from 'node:http';
import { bodyParser } from '@koa/bodyparser';
import KoaRouter from '@koa/router';
import express, { type RequestHandler } from 'express';
import Koa, { type Middleware } from 'koa';
import type { Order } from './orders.ts';

export type Framework = 'express' | 'koa';

/** What a contender puts behind the route, for whichever framework is asked for. */
export interface Shop {
  express(): RequestHandler[];
  koa(): Middleware[];
  close(): Promise<void>;
}

/** The handler as one writes it by hand. */
export type Place = (order: Order, key: string) => Promise<Order>;

export function expressHandler(place: Place): RequestHandler {
  return async (req, res) => {
    res.status(201).json(await place(req.body as Order, req.get('Idempotency-Key') ?? ''));
  };
}

export function koaHandler(place: Place): Middleware {
  return async (ctx) => {
    const placed = await place(ctx.request.body as Order, ctx.get('Idempotency-Key'));
    ctx.status = 201;
    ctx.body = placed;
  };
}

export function serverOf(framework: Framework, shop: Shop): Server {
  if (framework === 'express') {
    const app = express();
    app.use(express.json());
    app.post('/orders', ...shop.express());
    return createServer(app);
  }
  const app = new Koa();
  const router = new KoaRouter();
  router.post('/orders', ...shop.koa());
  app.use(bodyParser()).use(router.routes());
  return createServer(app.callback());
}
