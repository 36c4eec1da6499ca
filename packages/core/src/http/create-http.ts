// Owns the set of routes that an adapter offers, made once per app. Reads as the table of contents of this folder.
// Never sends anything.
import type { Pawl } from '../app/pawl.ts';
import type { Workflow } from '../app/workflows.ts';
import { endpoint, type EndpointOptions } from './endpoint.ts';
import type { Exchange, Reply } from './exchange.ts';
import { healthRoutes } from './health.ts';
import { hookRoutes } from './hooks.ts';
import { httpContext } from './http-context.ts';
import { idempotent } from './idempotent.ts';
import { checkMount } from './mount-check.ts';
import type { Defaults, IdempotencyOptions } from './options.ts';
import { type ObservedAdmission, requestEvents } from './request-events.ts';
import type { RouteTable } from './routes.ts';
import { webhook, type WebhookOptions } from './webhook.ts';
import { workflowRoutes, type WorkflowRoutesOptions } from './workflow-routes.ts';

export type Handler<Req> = (exchange: Exchange<Req>) => Promise<Reply>;

export interface PawlHttp<Req> {
  idempotent(options?: IdempotencyOptions<Req>): (exchange: Exchange<Req>) => Promise<ObservedAdmission>;
  endpoint<A extends unknown[], R, Value = R>(
    workflow: Workflow<A, R>,
    options: EndpointOptions<Req, A[0], Value>,
  ): Handler<Req>;
  webhook<T>(options: WebhookOptions<T>): Handler<Req>;
  workflows(options: WorkflowRoutesOptions<Req>): RouteTable<Req>;
  hooks(): RouteTable<Req>;
  health(): RouteTable<Req>;
}

/** The routes over `pawl`, for a framework whose request type is `Req`. Adapters are the only callers. */
export function createHttp<Req>(pawl: Pawl, defaults: Defaults<Req> | undefined): PawlHttp<Req> {
  // What JavaScript leaves out is missed by the routes that need it.
  const http = httpContext(pawl, defaults ?? ({} as Defaults<Req>));
  const observed = requestEvents<Req>(pawl);
  let locates = false;
  return {
    idempotent: (options = {}) => observed.admission(idempotent(http, options)),
    endpoint: (workflow, options) => {
      locates = true;
      return observed.route(endpoint(http, workflow, options));
    },
    webhook: (options) => observed.webhook(options.name, webhook(http, options)),
    workflows: (options) =>
      checkMount(
        observed.table('api', http.workflowsPath, workflowRoutes(http, options)),
        http.workflowsPath,
        (found) => {
          if (!locates) return;
          pawl.logger.warn(
            `http.workflows() was asked for ${found}, but the Location headers of http.endpoint() begin with ${http.workflowsPath}/. ` +
              'Give { workflowsPath } the whole path under which clients reach those routes.',
          );
        },
      ),
    hooks: () => observed.table('webhook', http.hooksPath, hookRoutes(http)),
    health: () => healthRoutes(http),
  };
}
