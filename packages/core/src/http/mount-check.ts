// Owns the warning that the workflow routes are mounted elsewhere than `Location` says. Nothing tells a middleware where
// it is mounted before a request comes, so it is the first request that shows it.
// Never changes what is answered.
import { type Exchange, splitTarget } from './exchange.ts';
import type { RouteTable } from './routes.ts';

/** The table, which calls `warn` once if a path that it serves does not begin with `expected`. */
export function checkMount<Req>(
  table: RouteTable<Req>,
  expected: string,
  warn: (found: string) => void,
): RouteTable<Req> {
  let seen = false;

  function look(exchange: Exchange<Req>): void {
    if (seen) return;
    seen = true;
    const { path } = splitTarget(exchange.originalUrl);
    if (!path.startsWith(`${expected}/`)) warn(path);
  }

  return {
    routes: table.routes,
    async serve(exchange) {
      const reply = await table.serve(exchange);
      if (reply !== undefined && reply.status !== 404) look(exchange);
      return reply;
    },
    serveAs(path, exchange, params) {
      look(exchange);
      return table.serveAs(path, exchange, params);
    },
  };
}
