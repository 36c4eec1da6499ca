// Owns the routes that show a workflow to its client: status, result, events, steps, and what is opt-in because it
// changes something. A workflow that is not there and one that is not theirs look the same.
// Never lists workflows: that is the dashboard's business.
import type { WorkflowStatus } from '../app/status.ts';
import { ConfigurationError, NonExistentWorkflowError } from '../errors/index.ts';
import { bodyOf } from './admission.ts';
import { digest } from './digest.ts';
import { eventStream, lastEventID } from './event-stream.ts';
import { closedSignal, type Exchange, headerValues, type Reply, splitTarget } from './exchange.ts';
import type { HttpContext } from './http-context.ts';
import { parseIdempotencyKey } from './idempotency-key.ts';
import { jsonText } from './json-value.ts';
import { MAX_BODY_BYTES } from './options.ts';
import { problemOfError, replyOfValue } from './outcome.ts';
import { parseJSON } from './request-body.ts';
import { type Params, type Route, type RouteTable, routeTable } from './routes.ts';
import { awaitOutcome, eventValue, hasEnded, type Outcome } from './workflow-outcome.ts';

export type WorkflowAction = 'read' | 'message' | 'cancel' | 'resume';

export interface WorkflowRoutesOptions<Req> {
  /** Whether this client may do this with this workflow. Anything but true answers 404. */
  readonly authorize: (
    req: Req,
    workflow: WorkflowStatus,
    action: WorkflowAction,
  ) => boolean | Promise<boolean>;
  /** Offer `POST /:id/messages/:topic`; default false. */
  readonly messages?: boolean | undefined;
  /** Offer `POST /:id/cancel`; default false. */
  readonly cancel?: boolean | undefined;
  /** Offer `POST /:id/resume`; default false. */
  readonly resume?: boolean | undefined;
}

const MAX_WAIT_SECONDS = 60;

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
        const workflow = await pawl.getWorkflowStatus(params['id'] as string);
        if (workflow === null || !(await options.authorize(exchange.request, workflow, action)))
          return notFound(exchange);
        return handler(exchange, workflow, params);
      },
    };
  }

  const routes = [
    route('GET', '/:id', 'read', status),
    route('GET', '/:id/result', 'read', result),
    route('GET', '/:id/events', 'read', events),
    route('GET', '/:id/events/:key', 'read', event),
    route('GET', '/:id/steps', 'read', steps),
  ];
  if (options.messages) routes.push(route('POST', '/:id/messages/:topic', 'message', message));
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
    const body = jsonText(publicStatus(workflow));
    const tag = `"${digest([body]).slice(0, 27)}"`;
    const headers = { ETag: tag, 'Cache-Control': 'private, no-cache' };
    const known = (exchange.incoming.headers['if-none-match'] ?? '')
      .split(',')
      .map((each) => each.trim().replace(/^W\//, ''));
    if (known.includes(tag) || known.includes('*')) return { status: 304, headers, body: undefined };
    return json(200, body, headers);
  }

  async function result(exchange: Exchange<Req>, workflow: WorkflowStatus): Promise<Reply> {
    const { workflowID } = workflow;
    const outcome = await awaitOutcome(
      pawl,
      pawl.retrieveWorkflow(workflowID),
      undefined,
      waitSeconds(exchange),
    );
    return outcome.kind === 'pending' ? pending(workflowID) : replyOfOutcome(exchange, workflowID, outcome);
  }

  function replyOfOutcome(exchange: Exchange<Req>, workflowID: string, outcome: Outcome): Reply {
    if (outcome.kind === 'value') return replyOfValue(outcome.value);
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
      'Cache-Control': 'no-store',
    });
  }

  async function event(exchange: Exchange<Req>, workflow: WorkflowStatus, params: Params): Promise<Reply> {
    const { workflowID } = workflow;
    const key = params['key'] as string;
    const wait = hasEnded(workflow.status) ? 0 : waitSeconds(exchange);
    let set = await eventValue(pawl, workflowID, key, 'latest');
    if (set === undefined && wait > 0) {
      await awaitOutcome(pawl, pawl.retrieveWorkflow(workflowID), key, wait);
      set = await eventValue(pawl, workflowID, key, 'latest');
    }
    if (set !== undefined)
      return json(200, jsonText(set.value ?? null), { 'Cache-Control': 'private, no-cache' });
    const now = await pawl.getWorkflowStatus(workflowID);
    return now === null || hasEnded(now.status) ? notFound(exchange) : pending(workflowID);
  }

  async function events(exchange: Exchange<Req>, workflow: WorkflowStatus): Promise<Reply> {
    const query = new URLSearchParams(splitTarget(exchange.originalUrl).query);
    const after = lastEventID(exchange.incoming.headers['last-event-id'] as string | undefined, query);
    return {
      status: 200,
      headers: {
        'Content-Type': 'text/event-stream; charset=utf-8',
        // no-transform keeps compressing middleware from holding events back; the last one is for proxies.
        'Cache-Control': 'no-store, no-transform',
        'X-Accel-Buffering': 'no',
      },
      body: eventStream(pawl, workflow.workflowID, after, closedSignal(exchange)),
    };
  }

  async function steps(_exchange: Exchange<Req>, workflow: WorkflowStatus): Promise<Reply> {
    const recorded = await pawl.listWorkflowSteps(workflow.workflowID);
    return json(200, jsonText(recorded), { 'Cache-Control': 'private, no-cache' });
  }

  async function message(exchange: Exchange<Req>, workflow: WorkflowStatus, params: Params): Promise<Reply> {
    const { workflowID } = workflow;
    const topic = params['topic'] as string;
    const key = parseIdempotencyKey(headerValues(exchange.incoming, 'idempotency-key'), 'lenient');
    if (key.kind === 'invalid')
      return http.problem(exchange, { status: 400, code: 'idempotency-key-invalid', detail: key.detail });
    const read = await bodyOf(http, exchange, MAX_BODY_BYTES);
    if (read.kind === 'refused') return read.reply;
    const parsed =
      read.body.kind === 'bytes' ? parseJSON(exchange, read.body.bytes) : { value: read.body.value };
    if (parsed !== undefined && 'malformed' in parsed) {
      return http.problem(exchange, {
        status: 400,
        code: 'body-malformed',
        detail: `The body is not JSON: ${parsed.malformed}`,
      });
    }
    if (hasEnded(workflow.status))
      return http.problem(exchange, { status: 409, code: 'workflow-finished', workflowID });
    const idempotencyKey = key.kind === 'key' ? digest(['message', workflowID, topic, key.key]) : undefined;
    await pawl.send(workflowID, parsed?.value, topic, idempotencyKey === undefined ? {} : { idempotencyKey });
    return json(202, JSON.stringify({ workflowID, topic }), {});
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
    return json(200, jsonText(now === null ? { workflowID } : publicStatus(now)), {
      'Cache-Control': 'no-store',
    });
  }
}

function json(status: number, body: string, headers: Readonly<Record<string, string>>): Reply {
  return { status, headers: { 'Content-Type': 'application/json; charset=utf-8', ...headers }, body };
}

/** Without the input and what concerns operators only. */
function publicStatus(workflow: WorkflowStatus): Record<string, unknown> {
  const {
    workflowID,
    name,
    status,
    createdAt,
    updatedAt,
    startedAt,
    completedAt,
    queueName,
    recoveryAttempts,
  } = workflow;
  return {
    workflowID,
    name,
    status,
    createdAt,
    updatedAt,
    startedAt,
    completedAt,
    queueName,
    recoveryAttempts,
  };
}

/** `?wait=s`, at most a minute; 0 without one. */
function waitSeconds(exchange: Exchange<unknown>): number {
  const given = Number(new URLSearchParams(splitTarget(exchange.originalUrl).query).get('wait') ?? 0);
  return Number.isFinite(given) && given > 0 ? Math.min(given, MAX_WAIT_SECONDS) : 0;
}
