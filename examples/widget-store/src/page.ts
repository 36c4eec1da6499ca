// Where the shop's page lies, and the headers that it is served with. It has no build step.
import { fileURLToPath } from 'node:url';

export const pageDirectory = fileURLToPath(new URL('../public', import.meta.url));

/** The page runs its own scripts and styles, and nothing else. */
export const pageHeaders = {
  'Cache-Control': 'no-cache',
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** In the form that express.static and koa-static take. */
export function setPageHeaders(response: { setHeader(name: string, value: string): unknown }): void {
  for (const [name, value] of Object.entries(pageHeaders)) response.setHeader(name, value);
}
