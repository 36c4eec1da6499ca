// Owns what the routes tell those who watch (telemetry/events.ts): a request came, it was answered; and lets them put
// a context around its handling.
// Never knows who watches: without anybody a request goes straight through.
import { internals } from '../app/internals.ts';
import type { Pawl } from '../app/pawl.ts';
import type { Emitter, RequestEvent } from '../telemetry/events.ts';
import type { Exchange, Reply } from './exchange.ts';
import type { Admission } from './idempotent.ts';
import type { RouteTable } from './routes.ts';

type Run = <T>(fn: () => T) => T;

const plainly: Run = (fn) => fn();

/** `pass` runs the rest of the request, too: in the context of the request. */
export type ObservedAdmission =
  | Exclude<Admission, { kind: 'pass' }>
  | { readonly kind: 'pass'; readonly run: Run };

export interface RequestEvents<Req> {
  admission(
    admit: (exchange: Exchange<Req>) => Promise<Admission>,
  ): (exchange: Exchange<Req>) => Promise<ObservedAdmission>;
  route(handle: (exchange: Exchange<Req>) => Promise<Reply>): (exchange: Exchange<Req>) => Promise<Reply>;
  webhook(
    name: string,
    handle: (exchange: Exchange<Req>) => Promise<Reply>,
  ): (exchange: Exchange<Req>) => Promise<Reply>;
  /** `mountPath`: where the app says that it has mounted the table. */
  table(kind: RequestEvent['kind'], mountPath: string, table: RouteTable<Req>): RouteTable<Req>;
}

export function requestEvents<Req>(pawl: Pawl): RequestEvents<Req> {
  const { events } = internals(pawl);
  return {
    admission: (admit) => async (exchange) => {
      const inside = receive(events, 'api', exchange, exchange.route);
      const admission = await inside(() => admit(exchange));
      if (admission.kind === 'pass') return { kind: 'pass', run: inside };
      if (admission.kind === 'reply' || inside === plainly) return admission;
      const { attempt } = admission;
      return { kind: 'run', attempt: { ...attempt, run: (rest) => inside(() => attempt.run(rest)) } };
    },
    route: (handle) => (exchange) => receive(events, 'api', exchange, exchange.route)(() => handle(exchange)),
    webhook: (name, handle) => async (exchange) => {
      const inside = receive(events, 'webhook', exchange, exchange.route);
      const reply = await inside(() => handle(exchange));
      if (events.has('webhook.answered'))
        events.emit('webhook.answered', { name, outcome: outcomeOf(reply) });
      return reply;
    },
    table: (kind, mountPath, table) => {
      const { serveAs } = table;
      table.serveAs = (path, exchange, params) => {
        const route = () => `${mountPath}${path}`;
        return receive(events, kind, exchange, route)(() => serveAs(path, exchange, params));
      };
      return table;
    },
  };
}

/** Runs what it is given in the context that a listener wants. */
function receive(
  events: Emitter,
  kind: RequestEvent['kind'],
  { method, incoming, outgoing }: Exchange<unknown>,
  route: (() => string | undefined) | undefined,
): Run {
  if (!events.has('request.received')) return plainly;
  const event: RequestEvent = {
    ...{ kind, method, headers: incoming.headers, status: 0 },
    get route() {
      return route?.();
    },
  };
  events.emit('request.received', event);
  outgoing.once('close', () => {
    event.status = outgoing.headersSent ? outgoing.statusCode : 0;
    events.emit('request.answered', event);
  });
  return event.within ?? plainly;
}

/** Our own reply says what became of a delivery: `status`, or the `code` of a problem. */
function outcomeOf({ body }: Reply): string {
  const { status, code } = JSON.parse(String(body)) as { status?: unknown; code?: unknown };
  return String(code ?? status);
}
