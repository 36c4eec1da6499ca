// The span of an HTTP request: the one that is active, or a SERVER span of our own. Never names a path, which may hold
// ids and secrets, but the route as it was declared.
// https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span

import type { Attributes, Context, Span, SpanContext } from '@opentelemetry/api';
import type { Emitter, RequestEvent } from './events.ts';
import { type OpenTelemetryApi, SCOPE } from './vocabulary.ts';

const SERVER_SPAN = 'pawl server span';
const CAUSE = 'pawl cause';
/** Under which instrumentations of HTTP leave their server span, whatever spans of middlewares are open inside of it. */
const RPC_METADATA = 'OpenTelemetry SDK Context Key RPC_METADATA';
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

/** Of the request in which this is. */
export function serverSpanOf(api: OpenTelemetryApi, context: Context): Span | undefined {
  return context.getValue(api.createContextKey(SERVER_SPAN)) as Span | undefined;
}

/** A span that is linked to, in place of being the parent. */
export function causeOf(api: OpenTelemetryApi, context: Context): SpanContext | undefined {
  return context.getValue(api.createContextKey(CAUSE)) as SpanContext | undefined;
}

export function subscribeRequests(api: OpenTelemetryApi, events: Emitter): (() => void)[] {
  const { context, propagation, trace, ROOT_CONTEXT, SpanKind, SpanStatusCode } = api;
  const tracer = trace.getTracer(SCOPE);
  const serverKey = api.createContextKey(SERVER_SPAN);
  const causeKey = api.createContextKey(CAUSE);
  const rpcKey = api.createContextKey(RPC_METADATA);
  const own = new WeakMap<RequestEvent, Span>();

  /** Inside of somebody else's span. A webhook's sender may have made itself its parent; ours it is not to become. */
  const reuse = (event: RequestEvent, active: Context, span: Span): Context => {
    const server = (active.getValue(rpcKey) as { span?: Span } | undefined)?.span ?? span;
    const inside = active.setValue(serverKey, server);
    if (event.kind !== 'webhook') return inside;
    const sender = trace.getSpanContext(propagation.extract(ROOT_CONTEXT, event.headers));
    if (sender?.traceId !== span.spanContext().traceId) return inside;
    return trace.deleteSpan(inside).setValue(causeKey, span.spanContext());
  };

  const create = (event: RequestEvent): Context => {
    const incoming = propagation.extract(ROOT_CONTEXT, event.headers);
    const sender = trace.getSpanContext(incoming);
    const parent = event.kind === 'webhook' ? ROOT_CONTEXT : incoming;
    const links = event.kind === 'webhook' && sender !== undefined ? [{ context: sender }] : [];
    const attributes = describe(event);
    const span = tracer.startSpan(nameOf(event), { kind: SpanKind.SERVER, links, attributes }, parent);
    own.set(event, span);
    return trace.setSpan(parent, span).setValue(serverKey, span);
  };

  return [
    events.on('request.received', (event) => {
      const active = context.active();
      // A middleware and a route of the same request: the outer one has seen to it.
      if (serverSpanOf(api, active) !== undefined) return;
      const span = trace.getSpan(active);
      const isThere = span !== undefined && trace.isSpanContextValid(span.spanContext());
      const inside = isThere ? reuse(event, active, span) : create(event);
      event.within = (fn) => context.with(inside, fn);
    }),
    events.on('request.keyed', ({ outcome }) =>
      serverSpanOf(api, context.active())?.setAttribute('idempotency.outcome', outcome),
    ),
    events.on('request.answered', (event) => {
      const span = own.get(event);
      if (span === undefined) return;
      const { status } = event;
      span.updateName(nameOf(event));
      span.setAttributes(describe(event));
      if (status > 0) span.setAttribute('http.response.status_code', status);
      if (status >= 500) {
        span.setAttribute('error.type', String(status));
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    }),
  ];
}

function nameOf({ method, route }: RequestEvent): string {
  const verb = METHODS.has(method) ? method : 'HTTP';
  return route === undefined ? verb : `${verb} ${route}`;
}

function describe({ method, route }: RequestEvent): Attributes {
  return {
    'http.request.method': METHODS.has(method) ? method : '_OTHER',
    ...(route === undefined ? {} : { 'http.route': route }),
  };
}
