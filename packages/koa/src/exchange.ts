// Owns the translation between Koa and the neutral types of @pawl/core/http.
// Never decides anything about a request.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type Answer,
  type Exchange,
  type Idempotency,
  isStreamed,
  namedHeaders,
  recordedHeaders,
  type Reply,
  type ResponseCapture,
} from '@pawl/core/http';
import type { Context } from 'koa';

interface ParsedRequest {
  body?: unknown;
}

export function exchangeOf(ctx: Context): Exchange<Context> {
  const request = ctx.request as ParsedRequest;
  return {
    request: ctx,
    incoming: ctx.req,
    outgoing: ctx.res,
    method: ctx.method,
    originalUrl: ctx.originalUrl,
    localPath: ctx.path,
    route: () => {
      const { _matchedRoute: path } = ctx as { _matchedRoute?: unknown };
      return typeof path === 'string' ? path : undefined;
    },
    getBody: () => request.body,
    setBody: (value) => {
      request.body = value;
    },
    setIdempotency: (value) => {
      ctx.idempotency = value;
      (ctx.state as { idempotency?: Idempotency }).idempotency = value;
    },
  };
}

/** Leaves the reply in the context; Koa, and whatever middleware is in front, sends it. */
export function send(ctx: Context, { status, headers, body }: Reply): void {
  ctx.status = status;
  if (isStreamed(body)) {
    for (const [name, value] of Object.entries(headers)) ctx.set(name, value as string | string[]);
    // Past Koa, which reports a client's going away as an error of the application.
    ctx.respond = false;
    if (ctx.method === 'HEAD') {
      ctx.res.end();
      return;
    }
    ctx.flushHeaders();
    pipeline(Readable.from(body), ctx.res).catch(() => undefined);
    return;
  }
  ctx.body = isEmpty(status) ? null : typeof body === 'string' ? body : Buffer.from(body ?? []);
  ctx.status = status;
  // Koa guesses a type for what it is given; the reply says what it is, or that it is nothing in particular.
  if (!isEmpty(status)) ctx.remove('Content-Type');
  for (const [name, value] of Object.entries(headers)) ctx.set(name, value as string | string[]);
}

/**
 * What Koa is about to send, read before anything in front (a compressing middleware) changes it, and whether or not
 * the client is still there. Undefined: a stream.
 */
export function answerOf(ctx: Context, before: ResponseCapture['headersBefore']): Answer | undefined {
  const { status } = ctx;
  const body: unknown = ctx.body;
  const headers = recordedHeaders(before, namedHeaders(ctx.res));
  if (isEmpty(status)) {
    const kept = headers.filter(([name]) => !/^content-(type|length)$/i.test(name));
    return { status, headers: kept, body: Buffer.alloc(0) };
  }
  if (body === null || body === undefined) {
    const explicit = Reflect.get(ctx.response, '_explicitNullBody') === true;
    const rest = headers.filter(([name]) => name.toLowerCase() !== 'content-type');
    if (explicit) return { status, headers: rest, body: Buffer.alloc(0) };
    const text = ctx.req.httpVersionMajor >= 2 ? String(status) : ctx.message || String(status);
    return {
      status,
      headers: [...rest, ['Content-Type', 'text/plain; charset=utf-8']],
      body: Buffer.from(text),
    };
  }
  if (Buffer.isBuffer(body) || typeof body === 'string') return { status, headers, body: Buffer.from(body) };
  const isStream =
    body instanceof Blob ||
    body instanceof ReadableStream ||
    body instanceof globalThis.Response ||
    typeof (body as { pipe?: unknown }).pipe === 'function';
  return isStream ? undefined : { status, headers, body: Buffer.from(JSON.stringify(body)) };
}

function isEmpty(status: number): boolean {
  return status === 204 || status === 205 || status === 304;
}
