// Owns the Express face of @pawl/core/http: each helper is one RequestHandler, or a table of routes behind one.
// Never holds logic that Koa would need as well.
import type { Pawl, Workflow } from '@pawl/core';
import {
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
import type { Request, RequestHandler } from 'express';
import { exchangeOf, send } from './exchange.ts';

export { CORS_REQUEST_HEADERS, CORS_RESPONSE_HEADERS, verify } from '@pawl/core/http';

declare global {
  namespace Express {
    interface Request {
      /** Set by `http.idempotent()` and `http.endpoint()`. */
      idempotency?: Idempotency;
    }
  }
}

export interface PawlExpress {
  /**
   * In front of an existing handler: makes it safe to send the same request twice. The response is recorded under the
   * `Idempotency-Key`, and workflows that the handler starts get ids derived from it (`req.idempotency`).
   *
   * @example
   * app.post('/orders', http.idempotent({ required: true }), createOrder);
   */
  idempotent(options?: IdempotencyOptions<Request>): RequestHandler;
  /**
   * The route is the workflow: a key stands for one workflow, and the response is its outcome, also after a crash.
   *
   * @example
   * app.post('/orders', http.endpoint(checkout, { input: (req) => req.body, reply: (order) => ({ status: 201, json: order }) }));
   */
  endpoint<A extends unknown[], R, Value = R>(
    workflow: Workflow<A, R>,
    options?: EndpointOptions<Request, A[0], Value>,
  ): RequestHandler;
  /**
   * Takes signed events of another service and hands each of them, once, to the workflow that waits for it.
   *
   * @example
   * app.post('/webhooks/payments', http.webhook({
   *   name: 'payments',
   *   verify: verify.standardWebhooks({ secrets: process.env.PAYMENTS_SECRET }),
   *   route: (event) => ({ workflowID: event.data.orderID, topic: 'payment' }),
   * }));
   */
  webhook<T = unknown>(options: WebhookOptions<T>): RequestHandler;
  /**
   * Status, result, events and steps of workflows, for their clients.
   *
   * @example
   * app.use('/workflows', http.workflows({ authorize: (req, workflow) => workflow.authenticatedUser === req.user.id }));
   */
  workflows(options: WorkflowRoutesOptions<Request>): RequestHandler;
  /**
   * The capability URLs that workflows made with `pawl.createHook(topic)`: POST answers, once, POST with `/reject` behind
   * rejects; unknown and expired ones are 404. Mount it where `hooksPath` says, and keep that path out of access logs.
   *
   * @example
   * app.use('/hooks', http.hooks());
   */
  hooks(): RequestHandler;
  /**
   * `/live` and `/ready` for a load balancer.
   *
   * @example
   * app.use('/health', http.health());
   */
  health(): RequestHandler;
}

/**
 * The helpers over one Pawl instance. `scope` says whose key an `Idempotency-Key` is.
 *
 * @example
 * const http = pawlExpress(pawl, { scope: (req) => req.user.tenantId });
 */
export function pawlExpress(pawl: Pawl, defaults: Defaults<Request>): PawlExpress {
  const http = createHttp<Request>(pawl, defaults);
  return {
    idempotent(options) {
      const admit = http.idempotent(options);
      return (req, res, next) => {
        admit(exchangeOf(req, res))
          .then((admission) => {
            if (admission.kind === 'pass') return admission.run(() => next());
            if (admission.kind === 'reply') return send(res, admission.reply);
            admission.attempt.capture(res);
            return admission.attempt.run(() => next());
          })
          .catch(next);
      };
    },
    endpoint: (workflow, options = {}) => handlerOf(http.endpoint(workflow, options)),
    webhook: (options) => handlerOf(http.webhook(options)),
    workflows: (options) => tableOf(http.workflows(options)),
    hooks: () => tableOf(http.hooks()),
    health: () => tableOf(http.health()),
  };
}

function handlerOf(handle: Handler<Request>): RequestHandler {
  return (req, res, next) => {
    handle(exchangeOf(req, res))
      .then((reply) => send(res, reply))
      .catch(next);
  };
}

function tableOf(table: RouteTable<Request>): RequestHandler {
  return (req, res, next) => {
    table
      .serve(exchangeOf(req, res))
      .then((reply) => (reply === undefined ? next() : send(res, reply)))
      .catch(next);
  };
}
