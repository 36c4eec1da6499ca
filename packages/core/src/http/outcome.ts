// Owns how a workflow's outcome becomes a response: a value, a user's own reply, or an error with its status.
// Never waits for a workflow.
import { PawlError, ValidationError } from '../errors/index.ts';
import type { Reply } from './exchange.ts';
import { jsonText } from './json-value.ts';
import type { ProblemDetails } from './problem.ts';

/** What `reply` and `replyError` of a route return. */
export interface RouteReply {
  /** Default 200, or 204 without a body. */
  readonly status?: number | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly json?: unknown;
  readonly body?: string | Uint8Array | undefined;
}

export function replyOfRoute(given: RouteReply): Reply {
  const { status, headers = {}, json, body } = given;
  if (json !== undefined) {
    return {
      status: status ?? 200,
      headers: {
        ...(hasType(headers) ? {} : { 'Content-Type': 'application/json; charset=utf-8' }),
        ...headers,
      },
      body: jsonText(json),
    };
  }
  if (body === undefined) return { status: status ?? 204, headers, body: undefined };
  const type = typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/octet-stream';
  return {
    status: status ?? 200,
    headers: { ...(hasType(headers) ? {} : { 'Content-Type': type }), ...headers },
    body,
  };
}

/** A workflow without a result has nothing to say: 204. */
export function replyOfValue(value: unknown): Reply {
  return replyOfRoute(value === undefined ? { status: 204 } : { json: value });
}

function hasType(headers: Readonly<Record<string, string>>): boolean {
  return Object.keys(headers).some((name) => name.toLowerCase() === 'content-type');
}

/**
 * What a client learns of an error that ended a workflow: its own status and code if it brings them, its message unless
 * the fault is the server's, never its stack.
 */
export function problemOfError(error: unknown, workflowID: string): ProblemDetails {
  const status = statusOf(error);
  if (error instanceof ValidationError) {
    return { status: 422, code: 'input-invalid', detail: error.message, issues: error.issues, workflowID };
  }
  if (status === undefined) {
    return { status: 500, code: 'workflow-failed', detail: 'The workflow ended with an error.', workflowID };
  }
  const { expose = status < 500, message, title, code } = error as Record<string, unknown>;
  const shown = expose === true && typeof message === 'string' && message !== '' ? message : undefined;
  return {
    status,
    code: typeof code === 'string' && /^[\w.:-]{1,100}$/.test(code) ? code : 'workflow-failed',
    title: typeof title === 'string' ? title : undefined,
    detail: shown ?? 'The workflow ended with an error.',
    workflowID,
  };
}

/** The HTTP status that an error brings with it, as those of http-errors do. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || error instanceof PawlError) return undefined;
  const { status, statusCode } = error as { status?: unknown; statusCode?: unknown };
  for (const given of [status, statusCode]) {
    if (typeof given === 'number' && Number.isInteger(given) && given >= 400 && given <= 599) return given;
  }
  return undefined;
}
