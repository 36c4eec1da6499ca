// Owns the two routes that a load balancer asks: is the process alive, may it have traffic. It may not before launch and
// while stopping, and while the database does not answer or the lease on what this process runs is over.
// Never needs more than one short query.
import { internals } from '../app/internals.ts';
import { ping } from '../store/ping.ts';
import type { Reply } from './exchange.ts';
import type { HttpContext } from './http-context.ts';
import { type RouteTable, routeTable } from './routes.ts';

const DATABASE_DEADLINE_MS = 2_000;

export function healthRoutes<Req>(http: HttpContext<Req>): RouteTable<Req> {
  const route = (path: string, answer: () => Promise<Reply>) => ({
    method: 'GET' as const,
    path,
    handle: answer,
  });
  return routeTable(
    [
      route('/live', async () => reply(200, { status: 'live' })),
      route('/ready', async () => {
        const reason = await whyNotReady(http);
        return reason === undefined
          ? reply(200, { status: 'ready' })
          : reply(503, { status: 'not ready', reason });
      }),
    ],
    {
      prefix: '/health',
      methodNotAllowed: (exchange, allow) =>
        http.problem(exchange, { status: 405, code: 'method-not-allowed', headers: { Allow: allow } }),
      failed: () => undefined,
    },
  );
}

async function whyNotReady<Req>({ pawl }: HttpContext<Req>): Promise<string | undefined> {
  if (pawl.state !== 'ready') return pawl.state;
  const { runtime } = internals(pawl);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('the database does not answer'), DATABASE_DEADLINE_MS);
  });
  const asked = ping(runtime.database).then(
    // What this process runs may be taken over by a peer at any moment, and it takes on nothing.
    () => (runtime.engine.lease.lasts ? undefined : 'the lease is over'),
    () => 'the database cannot be reached',
  );
  const reason = await Promise.race([asked, late]);
  clearTimeout(timer);
  return reason;
}

function reply(status: number, body: object): Reply {
  return {
    status,
    headers: { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' },
    body: JSON.stringify(body),
  };
}
