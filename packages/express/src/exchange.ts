// Owns the translation between Express and the neutral types of @pawl/core/http.
// Never decides anything about a request.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Exchange, isStreamed, type Reply } from '@pawl/core/http';
import type { Request, Response } from 'express';

export function exchangeOf(req: Request, res: Response): Exchange<Request> {
  return {
    request: req,
    incoming: req,
    outgoing: res,
    method: req.method,
    originalUrl: req.originalUrl,
    localPath: req.path,
    // Without the path of a router around it, which may hold ids in the place of its parameters.
    route: () => routePath(req),
    getBody: (): unknown => req.body,
    setBody: (value) => {
      req.body = value;
    },
    setIdempotency: (value) => {
      req.idempotency = value;
    },
  };
}

function routePath({ route }: Request): string | undefined {
  const path = (route as { path?: unknown } | undefined)?.path;
  return typeof path === 'string' ? path : undefined;
}

/** Past Express' own send(), which would add an ETag or a charset: a replay has the same bytes. */
export async function send(res: Response, { status, headers, body }: Reply): Promise<void> {
  if (res.destroyed) return;
  res.status(status);
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  if (!isStreamed(body)) {
    // Node drops the body of an answer to HEAD, and its length with it.
    if (res.req.method === 'HEAD' && body !== undefined)
      res.setHeader('Content-Length', Buffer.byteLength(body));
    res.end(body);
    return;
  }
  if (res.req.method === 'HEAD') {
    res.end();
    return;
  }
  res.flushHeaders();
  // The client's going away ends the stream, and is no error.
  await pipeline(Readable.from(body), res).catch(() => undefined);
}
