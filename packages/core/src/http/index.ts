// Owns the list of what @pawl/core/http offers: to users the options and `verify`, to adapters `createHttp` and the
// small request and reply types. Never holds code.
export type { Answer } from './answer.ts';
export { CORS_REQUEST_HEADERS, CORS_RESPONSE_HEADERS } from './cors.ts';
export { createHttp, type Handler, type PawlHttp } from './create-http.ts';
export type { EndpointOptions } from './endpoint.ts';
export { type Exchange, type Idempotency, isStreamed, type Reply, type ReplyHeaders } from './exchange.ts';
export type { Attempt } from './idempotent.ts';
export type { Defaults, IdempotencyOptions, Scope } from './options.ts';
export type { RouteReply } from './outcome.ts';
export type { ObservedAdmission } from './request-events.ts';
export type { ProblemCode } from './problem.ts';
export { namedHeaders, type ResponseCapture } from './response-capture.ts';
export { recordedHeaders } from './recorded-headers.ts';
export type { Params, Route, RouteTable } from './routes.ts';
export type { CustomOptions } from './verify/index.ts';
export { verify } from './verify/index.ts';
export type { GithubOptions } from './verify/github.ts';
export type { HmacOptions } from './verify/hmac.ts';
export type { Secrets } from './verify/secrets.ts';
export type { StandardWebhooksOptions } from './verify/standard-webhooks.ts';
export type { StripeOptions } from './verify/stripe.ts';
export type { Delivery, EventIdentity, Verdict, Verifier } from './verify/verifier.ts';
export type { WebhookEvent, WebhookOptions } from './webhook.ts';
export type { WebhookRoute } from './webhook-delivery.ts';
export type { WorkflowAction, WorkflowRoutesOptions } from './workflow-routes.ts';
