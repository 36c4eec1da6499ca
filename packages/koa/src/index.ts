// Owns the Koa face of @pawl/core/http: each helper is one `async (ctx, next)`, or a table of routes behind one.
// Never holds logic that Express would need as well.
import KoaRouter from '@koa/router';
import type { Pawl, Workflow } from '@pawl/core';
import {
  type Answer,
  type Attempt,
  createHttp,
  type Defaults,
  type EndpointOptions,
  type Handler,
  type Idempotency,
  type IdempotencyOptions,
  type RouteTable,
  type WebhookOptions,
  type WorkflowRoutesOptions,
} from '@pawl/core/http';
import type { Context, Middleware, Next } from 'koa';
import { answerOf, exchangeOf, send } from './exchange.ts';

export { CORS_REQUEST_HEADERS, CORS_RESPONSE_HEADERS, verify } from '@pawl/core/http';

declare module 'koa' {
  interface ExtendableContext {
    /** Set by `http.idempotent()` and `http.endpoint()`. */
    idempotency?: Idempotency;
  }
}

/** Works with `app.use`, under koa-mount, and nested in a router: `router.use('/workflows', http.workflows(…).routes())`. */
export interface RoutesMiddleware extends Middleware {
  routes(): RoutesMiddleware;
  readonly router: KoaRouter;
}

export interface PawlKoa {
  /**
   * In front of an existing handler: makes it safe to send the same request twice. The response is recorded under the
   * `Idempotency-Key`, and workflows that the handler starts get ids derived from it (`ctx.state.idempotency`).
   *
   * @example
   * router.post('/orders', http.idempotent({ required: true }), createOrder);
   */
  idempotent(options?: IdempotencyOptions<Context>): Middleware;
  /**
   * The route is the workflow: a key stands for one workflow, and the response is its outcome, also after a crash.
   *
   * @example
   * router.post('/orders', http.endpoint(checkout, { input: (ctx) => ctx.request.body, reply: (order) => ({ status: 201, json: order }) }));
   */
  endpoint<A extends unknown[], R, Value = R>(
    workflow: Workflow<A, R>,
    options?: EndpointOptions<Context, A[0], Value>,
  ): Middleware;
  /**
   * Takes signed events of another service and hands each of them, once, to the workflow that waits for it.
   *
   * @example
   * router.post('/webhooks/payments', http.webhook({
   *   name: 'payments',
   *   verify: verify.standardWebhooks({ secrets: process.env.PAYMENTS_SECRET }),
   *   route: (event) => ({ workflowID: event.data.orderID, topic: 'payment' }),
   * }));
   */
  webhook<T = unknown>(options: WebhookOptions<T>): Middleware;
  /**
   * Status, result, events and steps of workflows, for their clients.
   *
   * @example
   * app.use(mount('/workflows', http.workflows({ authorize: (ctx, workflow) => workflow.authenticatedUser === ctx.state.user.id })));
   */
  workflows(options: WorkflowRoutesOptions<Context>): RoutesMiddleware;
  /**
   * The capability URLs that workflows made with `pawl.createHook(topic)`: POST answers, once, POST with `/reject` behind
   * rejects; unknown and expired ones are 404. Mount it where `hooksPath` says, and keep that path out of access logs.
   *
   * @example
   * app.use(mount('/hooks', http.hooks()));
   */
  hooks(): RoutesMiddleware;
  /**
   * `/live` and `/ready` for a load balancer.
   *
   * @example
   * app.use(mount('/health', http.health()));
   */
  health(): RoutesMiddleware;
}

/**
 * The helpers over one Pawl instance. `scope` says whose key an `Idempotency-Key` is.
 *
 * @example
 * const http = pawlKoa(pawl, { scope: (ctx) => ctx.state.user.tenantId });
 */
export function pawlKoa(pawl: Pawl, defaults: Defaults<Context>): PawlKoa {
  const http = createHttp<Context>(pawl, defaults);
  return {
    idempotent(options) {
      const admit = http.idempotent(options);
      return async (ctx: Context, next: Next) => {
        const admission = await admit(exchangeOf(ctx));
        if (admission.kind === 'pass') return admission.run(next);
        if (admission.kind === 'reply') return send(ctx, admission.reply);
        return runHeld(ctx, next, admission.attempt);
      };
    },
    endpoint: (workflow, options = {}) => middlewareOf(http.endpoint(workflow, options)),
    webhook: (options) => middlewareOf(http.webhook(options)),
    workflows: (options) => routesOf(http.workflows(options)),
    hooks: () => routesOf(http.hooks()),
    health: () => routesOf(http.health()),
  };
}

async function runHeld(ctx: Context, next: Next, attempt: Attempt): Promise<void> {
  const capture = attempt.capture(ctx.res);
  let answer: Answer | undefined;
  try {
    await attempt.run(next);
    // A handler that wrote to ctx.res itself is recorded from there.
    if (ctx.respond === false || !capture.holding) return;
    // What cannot be told as JSON throws here.
    answer = answerOf(ctx, capture.headersBefore);
  } catch (error) {
    // The response is made of the error further out, and recorded there; unless there is nobody left to send one to.
    capture.holdPipes();
    const abandon = (): void => void (capture.holding && attempt.fail());
    if (ctx.writable) ctx.res.once('close', abandon);
    else await attempt.fail();
    throw error;
  }
  if (answer === undefined) return capture.goLive();
  const stored = await attempt.record(answer).catch(() => false);
  capture.release(stored ? {} : { 'Idempotency-Stored': 'false' });
}

function middlewareOf(handle: Handler<Context>): Middleware {
  return async (ctx: Context) => send(ctx, await handle(exchangeOf(ctx)));
}

function routesOf(table: RouteTable<Context>): RoutesMiddleware {
  const middleware: Middleware = async (ctx: Context, next: Next) => {
    const reply = await table.serve(exchangeOf(ctx));
    return reply === undefined ? next() : send(ctx, reply);
  };
  const router = new KoaRouter();
  for (const path of new Set(table.routes.map((route) => route.path))) {
    router.all(path, async (ctx) => {
      const context = ctx as unknown as Context;
      send(context, await table.serveAs(path, exchangeOf(context), ctx.params));
    });
  }
  const routes = Object.assign(middleware, { router, routes: () => routes });
  return routes;
}
