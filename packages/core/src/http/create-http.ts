// Owns the set of routes that an adapter offers, made once per app. Reads as the table of contents of this folder.
// Never sends anything.
import type { Pawl } from '../app/pawl.ts';
import type { Workflow } from '../app/workflows.ts';
import { endpoint, type EndpointOptions } from './endpoint.ts';
import type { Exchange, Reply } from './exchange.ts';
import { healthRoutes } from './health.ts';
import { hookRoutes } from './hooks.ts';
import { httpContext } from './http-context.ts';
import { type Admission, idempotent } from './idempotent.ts';
import { checkMount } from './mount-check.ts';
import type { Defaults, IdempotencyOptions } from './options.ts';
import type { RouteTable } from './routes.ts';
import { webhook, type WebhookOptions } from './webhook.ts';
import { workflowRoutes, type WorkflowRoutesOptions } from './workflow-routes.ts';

export type Handler<Req> = (exchange: Exchange<Req>) => Promise<Reply>;

export interface PawlHttp<Req> {
  idempotent(options?: IdempotencyOptions<Req>): (exchange: Exchange<Req>) => Promise<Admission>;
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
  let locates = false;
  return {
    idempotent: (options = {}) => idempotent(http, options),
    endpoint: (workflow, options) => {
      locates = true;
      return endpoint(http, workflow, options);
    },
    webhook: (options) => webhook(http, options),
    workflows: (options) =>
      checkMount(workflowRoutes(http, options), http.workflowsPath, (found) => {
        if (!locates) return;
        pawl.logger.warn(
          `http.workflows() was asked for ${found}, but the Location headers of http.endpoint() begin with ${http.workflowsPath}/. ` +
            'Give { workflowsPath } the whole path under which clients reach those routes.',
        );
      }),
    hooks: () => hookRoutes(http),
    health: () => healthRoutes(http),
  };
}
