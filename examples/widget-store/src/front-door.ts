// What stands in front of a real shop too: it owns the public port, passes requests on to the shop's process, and
// says 503 while there is none. It also leads to the payment provider and to the supervisor's log.
import { createReadStream, existsSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  request as forward,
  type Server,
  type ServerResponse,
} from 'node:http';
import { extname, join, normalize } from 'node:path';
import type { Activity } from './activity.ts';
import { pageDirectory, pageHeaders } from './page.ts';
import type { PaymentProvider } from './payments.ts';

interface Options {
  activity: Activity;
  provider: () => PaymentProvider;
  /** Where the shop's process listens; null while there is none. */
  shopPort: () => number | null;
}

const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
};

export function createFrontDoor({ activity, provider, shopPort }: Options): Server {
  return createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    if (path === '/activity') return activity.stream(request, response);
    if (path.startsWith('/provider/')) {
      provider()
        .handle(path.slice('/provider'.length), request, response)
        .catch(() => response.destroy());
      return;
    }
    const port = shopPort();
    if (port !== null) passOn(request, response, port);
    else standIn(path, request, response);
  });
}

function passOn(request: IncomingMessage, response: ServerResponse, port: number): void {
  const { method, url: path } = request;
  const headers = { ...request.headers, connection: 'close' };
  const upstream = forward({ host: '127.0.0.1', port, method, path, headers, agent: false }, (answer) => {
    const { connection: _, ...passed } = answer.headers;
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, passed);
    answer.on('error', () => response.destroy());
    answer.pipe(response);
  });
  upstream.on('error', () => {
    // The process died with this request in its hands: the caller may safely try again, with the same key.
    if (response.headersSent) response.destroy();
    else standIn(new URL(path ?? '/', 'http://localhost').pathname, request, response);
  });
  response.on('close', () => upstream.destroy());
  request.pipe(upstream);
}

/** While the shop is down its page still loads, as from a cache in front of it. Everything else is told to come again. */
function standIn(path: string, request: IncomingMessage, response: ServerResponse): void {
  const file = join(pageDirectory, normalize(path === '/' ? '/index.html' : path));
  const type = TYPES[extname(file)];
  if (request.method === 'GET' && type && existsSync(file)) {
    response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8`, ...pageHeaders });
    createReadStream(file).pipe(response);
    return;
  }
  response.writeHead(503, { 'Content-Type': 'application/problem+json', 'Retry-After': '1' });
  const detail = 'Its process died and is being started again. Try again with the same Idempotency-Key.';
  response.end(
    JSON.stringify({ title: 'The shop is down', status: 503, detail, code: 'shop-down', retryable: true }),
  );
}
