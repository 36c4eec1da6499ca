// Owns the routes that show a workflow to its client: status, result, events, streams, steps, and what is opt-in because it
// changes something. A workflow that is not there and one that is not theirs look the same.
// Never lists workflows: that is the dashboard's business.
import { endOf } from '../app/follow.ts';
import type { WorkflowStatus } from '../app/status.ts';
import { checkName } from '../codec/index.ts';
import { ConfigurationError, NonExistentWorkflowError } from '../errors/index.ts';
import type { Feed } from '../store/feeds.ts';
import { isNoneMatch } from './conditional.ts';
import { digest } from './digest.ts';
import { cursorOf, eventStream, pageOf } from './event-stream.ts';
import { closedSignal, type Exchange, type Reply, splitTarget } from './exchange.ts';
import { askApp, type HttpContext } from './http-context.ts';
import { jsonText } from './json-value.ts';
import { messageRoute } from './message-route.ts';
import { problemOfError, replyOfValue } from './outcome.ts';
import { type Params, type Route, type RouteTable, routeTable } from './routes.ts';
import { awaitOutcome, eventValue, hasEnded, type Outcome, outcomeOf } from './workflow-outcome.ts';
import { stepView, workflowView } from './workflow-view.ts';

export type WorkflowAction = 'read' | 'message' | 'cancel' | 'resume';

export interface WorkflowRoutesOptions<Req> {
  /**
   * Whether this client may do this with this workflow. Anything but `true` answers 404, exactly as for a workflow that
   * does not exist. Asked once per request, for a stream when it begins. An error that it throws is the app's: it goes
   * to the error handling of the framework.
   *
   * @example
   * authorize: (req, workflow) => workflow.authenticatedUser === req.user?.id
   */
  readonly authorize: (
    req: Req,
    workflow: WorkflowStatus,
    action: WorkflowAction,
  ) => boolean | Promise<boolean>;
  /** Offer `POST /:id/messages/:topic`; default false. Needs a `scope` for the `Idempotency-Key`. */
  readonly messages?: boolean | undefined;
  /** Offer `POST /:id/cancel`; default false. */
  readonly cancel?: boolean | undefined;
  /** Offer `POST /:id/resume`; default false. */
  readonly resume?: boolean | undefined;
}

const MAX_WAIT_SECONDS = 60;
/** What belongs to one client, and may have changed at the next look. */
const OWN = { 'Cache-Control': 'private, no-cache' };
const FRESH = { 'Cache-Control': 'no-store' };

export function workflowRoutes<Req>(
  http: HttpContext<Req>,
  options: WorkflowRoutesOptions<Req>,
): RouteTable<Req> {
  const { pawl } = http;
  if (typeof options?.authorize !== 'function') {
    throw new ConfigurationError(
      'The workflow routes need { authorize: (req, workflow, action) => boolean }: whose workflow is it?',
    );
  }

  type Handler = (exchange: Exchange<Req>, workflow: WorkflowStatus, params: Params) => Promise<Reply>;

  function route(method: 'GET' | 'POST', path: string, action: WorkflowAction, handler: Handler): Route<Req> {
    return {
      method,
      path,
      async handle(exchange, params) {
        // Nothing has such a name; for the topics and keys of a workflow that is there it is the same answer.
        if (!Object.values(params).every(isName)) return notFound(exchange);
        const workflow = await pawl.getWorkflowStatus(params['id'] as string);
        if (workflow === null) return notFound(exchange);
        // Untyped callers return what they like; only true lets anybody in.
        const allowed: unknown = await askApp(() => options.authorize(exchange.request, workflow, action));
        if (allowed !== true) return notFound(exchange);
        return handler(exchange, workflow, params);
      },
    };
  }

  const routes = [
    route('GET', '/:id', 'read', status),
    route('GET', '/:id/result', 'read', result),
    route('GET', '/:id/events', 'read', events),
    route('GET', '/:id/events/:key', 'read', event),
    route('GET', '/:id/streams/:key', 'read', stream),
    route('GET', '/:id/steps', 'read', steps),
  ];
  if (options.messages) {
    const send = messageRoute(http);
    routes.push(
      route('POST', '/:id/messages/:topic', 'message', (exchange, workflow, params) =>
        send(exchange, workflow, params['topic'] as string),
      ),
    );
  }
  if (options.cancel) routes.push(route('POST', '/:id/cancel', 'cancel', cancel));
  if (options.resume) routes.push(route('POST', '/:id/resume', 'resume', resume));

  return routeTable(routes, {
    prefix: (http.defaults.workflowsPath ?? '/workflows').replace(/\/+$/, ''),
    methodNotAllowed: (exchange, allow) =>
      http.problem(exchange, { status: 405, code: 'method-not-allowed', headers: { Allow: allow } }),
    failed: (exchange, error) =>
      error instanceof NonExistentWorkflowError ? notFound(exchange) : http.unavailable(exchange, error),
  });

  function notFound(exchange: Exchange<Req>): Reply {
    return http.problem(exchange, { status: 404, code: 'not-found' });
  }

  async function status(exchange: Exchange<Req>, workflow: WorkflowStatus): Promise<Reply> {
    const body = jsonText(workflowView(workflow));
    const tag = `"${digest([body]).slice(0, 27)}"`;
    const headers = { ETag: tag, ...OWN };
    if (isNoneMatch(exchange.incoming.headers['if-none-match'], tag))
      return { status: 304, headers, body: undefined };
    return json(200, body, headers);
  }

  async function result(exchange: Exchange<Req>, workflow: WorkflowStatus): Promise<Reply> {
    const wait = waitSeconds(exchange);
    if (wait === undefined) return badWait(exchange);
    const { workflowID } = workflow;
    const known = outcomeOf(workflow);
    const outcome =
      known.kind !== 'pending' || wait === 0
        ? known
        : await awaitOutcome(
            pawl,
            pawl.retrieveWorkflow(workflowID),
            undefined,
            wait,
            closedSignal(exchange),
          );
    return outcome.kind === 'pending' ? pending(workflowID) : replyOfOutcome(exchange, workflowID, outcome);
  }

  function replyOfOutcome(exchange: Exchange<Req>, workflowID: string, outcome: Outcome): Reply {
    if (outcome.kind === 'value') {
      const reply = replyOfValue(outcome.value);
      return { ...reply, headers: { ...reply.headers, ...OWN } };
    }
    if (outcome.kind === 'error') return http.problem(exchange, problemOfError(outcome.error, workflowID));
    const cancelled = outcome.status === 'CANCELLED';
    const code = cancelled ? 'workflow-cancelled' : 'workflow-stopped';
    return http.problem(exchange, { status: cancelled ? 409 : 500, code, workflowID });
  }

  function pending(workflowID: string): Reply {
    const location = http.workflowLocation(workflowID);
    return json(202, JSON.stringify({ workflowID, location }), {
      Location: location,
      'Retry-After': '1',
      ...FRESH,
    });
  }

  async function event(exchange: Exchange<Req>, workflow: WorkflowStatus, params: Params): Promise<Reply> {
    const given = waitSeconds(exchange);
    if (given === undefined) return badWait(exchange);
    const { workflowID } = workflow;
    const key = params['key'] as string;
    const wait = hasEnded(workflow.status) ? 0 : given;
    let set = await eventValue(pawl, workflowID, key, 'latest');
    if (set === undefined && wait > 0) {
      const handle = pawl.retrieveWorkflow(workflowID);
      await awaitOutcome(pawl, handle, key, wait, closedSignal(exchange));
      set = await eventValue(pawl, workflowID, key, 'latest');
    }
    if (set !== undefined) return json(200, jsonText(set.value ?? null), OWN);
    const now = await pawl.getWorkflowStatus(workflowID);
    return now === null || hasEnded(now.status) ? notFound(exchange) : pending(workflowID);
  }

  function events(exchange: Exchange<Req>, workflow: WorkflowStatus): Promise<Reply> {
    return serveFeed(exchange, workflow, 'event', '');
  }

  function stream(exchange: Exchange<Req>, workflow: WorkflowStatus, params: Params): Promise<Reply> {
    return serveFeed(exchange, workflow, 'stream', params['key'] as string);
  }

  async function serveFeed(
    exchange: Exchange<Req>,
    { workflowID, createdAt }: WorkflowStatus,
    feed: Feed,
    key: string,
  ): Promise<Reply> {
    const query = new URLSearchParams(splitTarget(exchange.originalUrl).query);
    const lastID = exchange.incoming.headers['last-event-id'] as string | undefined;
    const cursor = cursorOf(feed, lastID, query);
    if (cursor === undefined) {
      const detail =
        '?offset= takes the number of the first value that you want, counted from 0, as ?offset=12.';
      return http.problem(exchange, { status: 400, code: 'offset-invalid', detail });
    }
    const { after, end } = cursor;
    if (end) {
      // The client has seen the end. This status keeps an EventSource from connecting again, for ever.
      const page = await pageOf(pawl, { feed, workflowID, key, after });
      if (page.entries.length === 0 && endOf(page) !== undefined)
        return { status: 204, headers: FRESH, body: undefined };
    }
    return {
      status: 200,
      headers: {
        'Content-Type': 'text/event-stream; charset=utf-8',
        // no-transform keeps compressing middleware from holding events back; the last one is for proxies.
        'Cache-Control': 'no-store, no-transform',
        'X-Accel-Buffering': 'no',
      },
      body: eventStream(pawl, { workflowID, createdAt, feed, key, after, closed: closedSignal(exchange) }),
    };
  }

  async function steps(_exchange: Exchange<Req>, { workflowID }: WorkflowStatus): Promise<Reply> {
    const recorded = await pawl.listWorkflowSteps(workflowID);
    return json(200, jsonText(recorded.map((step) => stepView(step, workflowID))), OWN);
  }

  async function cancel(_exchange: Exchange<Req>, { workflowID }: WorkflowStatus): Promise<Reply> {
    await pawl.cancelWorkflow(workflowID);
    return changed(workflowID);
  }

  async function resume(_exchange: Exchange<Req>, { workflowID }: WorkflowStatus): Promise<Reply> {
    await pawl.resumeWorkflow(workflowID);
    return changed(workflowID);
  }

  async function changed(workflowID: string): Promise<Reply> {
    const now = await pawl.getWorkflowStatus(workflowID);
    if (now === null) throw new NonExistentWorkflowError(workflowID);
    return json(200, jsonText(workflowView(now)), FRESH);
  }

  function badWait(exchange: Exchange<Req>): Reply {
    const detail = `?wait= takes a number of seconds, as ?wait=20; more than ${MAX_WAIT_SECONDS} count as ${MAX_WAIT_SECONDS}.`;
    return http.problem(exchange, { status: 400, code: 'wait-invalid', detail });
  }
}

function json(status: number, body: string, headers: Readonly<Record<string, string>>): Reply {
  return { status, headers: { 'Content-Type': 'application/json; charset=utf-8', ...headers }, body };
}

function isName(text: string): boolean {
  try {
    checkName(text, 'name');
    return true;
  } catch {
    return false;
  }
}

/** `?wait=s`, at most a minute; 0 without one, undefined if it is no number of seconds. */
function waitSeconds(exchange: Exchange<unknown>): number | undefined {
  const given = new URLSearchParams(splitTarget(exchange.originalUrl).query).getAll('wait');
  if (given.length === 0) return 0;
  const [text = ''] = given;
  if (given.length > 1 || !/^\d{1,9}(\.\d{1,9})?$/.test(text)) return undefined;
  return Math.min(Number(text), MAX_WAIT_SECONDS);
}
