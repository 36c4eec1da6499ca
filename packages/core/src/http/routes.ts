// Owns the small router below a mount point: a table of routes, matched by the path's segments.
// Never looks at what a framework's router has matched.
import { type Exchange, type Reply, splitTarget } from './exchange.ts';

export type Params = Readonly<Record<string, string>>;

export interface Route<Req> {
  readonly method: 'GET' | 'POST';
  /** As `/:id/events/:key`. */
  readonly path: string;
  handle(exchange: Exchange<Req>, params: Params): Promise<Reply>;
}

export interface RouteTable<Req> {
  readonly routes: readonly Route<Req>[];
  /** Undefined: no route of this table has the path. */
  serve(exchange: Exchange<Req>): Promise<Reply | undefined>;
  /** Serves a path that somebody else's router has matched. */
  serveAs(path: string, exchange: Exchange<Req>, params: Params): Promise<Reply>;
}

export interface RouteTableOptions<Req> {
  /** Stripped where the app mounted the table without a path of its own. */
  readonly prefix: string;
  readonly methodNotAllowed: (exchange: Exchange<Req>, allow: string) => Reply;
  /** Every reply to a thrown error, or undefined to throw it on. */
  readonly failed: (exchange: Exchange<Req>, error: unknown) => Reply | undefined;
}

export function routeTable<Req>(
  routes: readonly Route<Req>[],
  options: RouteTableOptions<Req>,
): RouteTable<Req> {
  const table: RouteTable<Req> = {
    routes,
    async serve(exchange) {
      const local = withoutPrefix(exchange, options.prefix);
      for (const { path } of routes) {
        const params = matchPath(path, local);
        if (params !== undefined) return table.serveAs(path, exchange, params);
      }
      return undefined;
    },
    async serveAs(path, exchange, params) {
      const there = routes.filter((route) => route.path === path);
      const method = exchange.method === 'HEAD' ? 'GET' : exchange.method;
      const route = there.find((candidate) => candidate.method === method);
      if (route === undefined) {
        const allow = there
          .flatMap((each) => (each.method === 'GET' ? ['GET', 'HEAD'] : [each.method]))
          .join(', ');
        return options.methodNotAllowed(exchange, allow);
      }
      try {
        return await route.handle(exchange, params);
      } catch (error) {
        const reply = options.failed(exchange, error);
        if (reply === undefined) throw error;
        return reply;
      }
    },
  };
  return table;
}

/** Where the table is mounted at the prefix it is stripped by now, and what looks like it is an id. */
function withoutPrefix({ localPath, originalUrl }: Exchange<unknown>, prefix: string): string {
  const { path } = splitTarget(originalUrl);
  const mount = path.endsWith(localPath) ? path.slice(0, path.length - localPath.length) : '';
  const isMounted = prefix !== '' && mount.endsWith(prefix);
  return !isMounted && localPath.startsWith(`${prefix}/`) ? localPath.slice(prefix.length) : localPath;
}

/** The parameters if the path fits the pattern, decoded as far as they are well-formed; undefined if it does not. */
function matchPath(pattern: string, path: string): Params | undefined {
  const wanted = pattern.split('/');
  const given = path.replace(/\/$/, '').split('/');
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const text = given[index] as string;
    if (!segment.startsWith(':')) {
      if (segment !== text) return undefined;
      continue;
    }
    if (text === '') return undefined;
    params[segment.slice(1)] = decoded(text);
  }
  return params;
}

/** What is not well-formed UTF-8 is the name of nothing. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '\0';
  }
}
