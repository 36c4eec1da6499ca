// Owns the form of every refusal: application/problem+json (RFC 9457).
// Never decides that something is refused.
import type { Reply, ReplyHeaders } from './exchange.ts';

/** The codes of the refusals that this folder makes. A workflow's own error may bring its own code. */
export type ProblemCode =
  | 'idempotency-key-missing'
  | 'idempotency-key-invalid'
  | 'idempotency-key-reused'
  | 'request-in-flight'
  | 'response-unavailable'
  | 'scope-missing'
  | 'scope-failed'
  | 'input-invalid'
  | 'body-malformed'
  | 'body-missing'
  | 'media-type-unsupported'
  | 'not-ready'
  | 'body-too-large'
  | 'body-unavailable'
  | 'body-not-json'
  | 'wait-invalid'
  | 'offset-invalid'
  | 'database-unavailable'
  | 'workflow-failed'
  | 'workflow-cancelled'
  | 'workflow-stopped'
  | 'workflow-finished'
  | 'workflow-busy'
  | 'not-found'
  | 'method-not-allowed'
  | 'signature-invalid'
  | 'hook-answered'
  | 'unknown-workflow';

const TITLES: Record<ProblemCode, string> = {
  'idempotency-key-missing': 'Idempotency-Key is missing',
  'idempotency-key-invalid': 'Idempotency-Key is not valid',
  'idempotency-key-reused': 'Idempotency-Key was used for another request',
  'request-in-flight': 'A request with this Idempotency-Key is in flight',
  'response-unavailable': 'The response was sent once and could not be kept',
  'scope-missing': 'The caller is not known',
  'scope-failed': 'The caller could not be determined',
  'input-invalid': 'The input is not valid',
  'body-malformed': 'The body is not well-formed',
  'body-missing': 'The body is missing',
  'media-type-unsupported': 'The media type is not supported',
  'not-ready': 'The process is starting or stopping',
  'body-too-large': 'The body is too large',
  'body-not-json': 'The body is not JSON',
  'wait-invalid': 'The time to wait is not valid',
  'offset-invalid': 'The offset is not valid',
  'body-unavailable': 'The body was consumed before it could be read',
  'database-unavailable': 'The database is not available',
  'workflow-failed': 'The workflow failed',
  'workflow-cancelled': 'The workflow was cancelled',
  'workflow-stopped': 'The workflow was stopped',
  'workflow-busy': 'The workflow is held by a transaction',
  'workflow-finished': 'The workflow has finished',
  'not-found': 'Not found',
  'method-not-allowed': 'Method not allowed',
  'hook-answered': 'The hook was answered before',
  'signature-invalid': 'The signature is not valid',
  'unknown-workflow': 'The workflow is not known',
};

export interface ProblemDetails {
  readonly status: number;
  readonly code: ProblemCode | (string & {});
  readonly title?: string | undefined;
  readonly detail?: string | undefined;
  readonly retryable?: boolean | undefined;
  readonly workflowID?: string | undefined;
  readonly issues?: readonly unknown[] | undefined;
  readonly headers?: ReplyHeaders | undefined;
}

/** Somebody's transaction holds the workflow for longer than a sender waits. */
export const WORKFLOW_BUSY: ProblemDetails = {
  status: 503,
  code: 'workflow-busy',
  detail: 'Nothing was done. Send the same request again in a moment.',
  retryable: true,
  headers: { 'Retry-After': '2' },
};

/** Makes replies of refusals. `base` is the prefix of their type URIs, under which the API's users find them explained. */
export interface Problems {
  reply(instance: string, details: ProblemDetails): Reply;
  type(code: string): string;
}

const DEFAULT_PROBLEM_BASE = 'urn:pawl:problem:';

export function problems(base: string = DEFAULT_PROBLEM_BASE): Problems {
  const prefix = /[/:#=]$/.test(base) ? base : `${base}/`;
  const type = (code: string): string => prefix + encodeURIComponent(code);
  return {
    type,
    reply(instance, details) {
      const { status, code, detail, retryable = false, workflowID, issues, headers } = details;
      const title = details.title ?? (code in TITLES ? TITLES[code as ProblemCode] : code);
      const body = { type: type(code), title, status, detail, instance, code, retryable, workflowID, issues };
      return {
        status,
        headers: {
          'Content-Type': 'application/problem+json; charset=utf-8',
          'Cache-Control': 'no-store',
          ...headers,
        },
        body: JSON.stringify(body),
      };
    },
  };
}
