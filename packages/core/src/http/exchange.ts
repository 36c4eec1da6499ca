// Owns the small request and reply types between this folder and a web framework.
// Never imports a framework: an adapter makes an Exchange of its request and sends the Reply.
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What a handler of one idempotent request may want to know; Express: `req.idempotency`, Koa: `ctx.state.idempotency`. */
export interface Idempotency {
  /** The decoded key; undefined when the request has none. */
  readonly key: string | undefined;
  /** The first workflow that the request starts has this id, further ones have it as prefix. */
  readonly workflowID: string;
  /** 1 on the first try; counts on when an earlier try failed or its process died. */
  readonly attempt: number;
}

/** One request with its response. `Req` is what the framework's users know: Express' request, Koa's context. */
export interface Exchange<Req> {
  readonly request: Req;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly method: string;
  /** Path and query as the client sent them, whatever routers have stripped meanwhile. */
  readonly originalUrl: string;
  /** The path below the mount point, with a leading slash. */
  readonly localPath: string;
  /** The route as it was declared (`/orders/:id`), once a router has matched it. */
  readonly route?: (() => string | undefined) | undefined;
  /** What a body parser left; undefined before one ran. */
  getBody(): unknown;
  setBody(value: unknown): void;
  setIdempotency(value: Idempotency): void;
}

export type ReplyHeaders = Readonly<Record<string, string | readonly string[]>>;

/** What is sent. An iterable body is a live stream; it ends when the client goes. */
export interface Reply {
  readonly status: number;
  readonly headers: ReplyHeaders;
  readonly body: string | Uint8Array | AsyncIterable<string> | undefined;
}

export function isStreamed(body: Reply['body']): body is AsyncIterable<string> {
  return typeof body === 'object' && Symbol.asyncIterator in body;
}

/** The path and the raw query (without `?`) that the client asked for. */
export function splitTarget(originalUrl: string): { path: string; query: string } {
  const target = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(originalUrl);
  const relative = target === null ? originalUrl : originalUrl.slice(target[0].length);
  const mark = relative.indexOf('?');
  if (mark < 0) return { path: relative || '/', query: '' };
  return { path: relative.slice(0, mark) || '/', query: relative.slice(mark + 1) };
}

/** All values of a header field that may come only once; Node joins them in `headers`, for HTTP/2 there as well only. */
export function headerValues(incoming: IncomingMessage, name: string): readonly string[] {
  const distinct = incoming.headersDistinct as IncomingMessage['headersDistinct'] | undefined;
  if (distinct !== undefined) return distinct[name.toLowerCase()] ?? [];
  return [incoming.headers[name.toLowerCase()] ?? []].flat();
}

/** The lower-case media type without parameters; empty without a Content-Type. */
export function mediaType(incoming: IncomingMessage): string {
  return (incoming.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** A signal that fires when the client is gone. */
export function closedSignal(exchange: Pick<Exchange<unknown>, 'outgoing'>): AbortSignal {
  const controller = new AbortController();
  const { outgoing } = exchange;
  if (outgoing.destroyed || outgoing.closed) controller.abort();
  else outgoing.once('close', () => controller.abort());
  return controller.signal;
}
