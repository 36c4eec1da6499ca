// Owns the way of a webhook: bytes, signature, JSON, schema, route, delivery, and the answer that tells the sender
// whether to try again.
// Never acknowledges what is not durable.
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { ConfigurationError } from '../errors/index.ts';
import { bodyOf } from './admission.ts';
import { digest } from './digest.ts';
import { type Exchange, mediaType, type Reply } from './exchange.ts';
import { askApp, type HttpContext } from './http-context.ts';
import { MAX_BODY_BYTES } from './options.ts';
import { type ProblemDetails, WORKFLOW_BUSY } from './problem.ts';
import { isTooDeep, TOO_DEEP } from './request-body.ts';
import { check, plainIssue } from './schema.ts';
import { deliver, type WebhookRoute } from './webhook-delivery.ts';
import type { Delivery, Verifier } from './verify/verifier.ts';

export interface WebhookEvent<T> {
  /** The sender's id of the event, the same for each try; a hash of the bytes where the sender gives none. */
  readonly id: string;
  readonly type: string;
  readonly timestamp?: Date | undefined;
  readonly data: T;
  readonly headers: Record<string, string>;
  readonly raw: Uint8Array;
  /** Name of the secret that the signature was made with. */
  readonly matchedSecret?: string | undefined;
}

export interface WebhookOptions<T> {
  /** Names the sender: events of two senders may have the same id. */
  readonly name: string;
  readonly verify: Verifier;
  /** What `data` must look like; else 422. */
  readonly schema?: StandardSchemaV1<unknown, T> | undefined;
  /**
   * Where the event goes; null: nobody is interested, 200. What it throws goes the way of your app's own errors (Express:
   * `next(error)`; Koa: thrown): nothing was taken, and the sender tries again if the answer is a 5xx.
   */
  readonly route: (event: WebhookEvent<T>) => WebhookRoute | null | Promise<WebhookRoute | null>;
  /**
   * What to do when no workflow has the id: `retry` answers 404, `park` keeps the message until that workflow starts,
   * `ack` answers 200 and drops it. Default `retry`.
   */
  readonly onUnknown?: 'retry' | 'park' | 'ack' | undefined;
  /** Default 1 MiB. */
  readonly maxBodyBytes?: number | undefined;
  /** Status for a signature that does not fit; default 401. */
  readonly failureStatus?: 400 | 401 | undefined;
  /** The clock that signed times are compared with; default the system's. */
  readonly now?: (() => Date) | undefined;
}

export function webhook<Req, T = unknown>(
  http: HttpContext<Req>,
  options: WebhookOptions<T>,
): (exchange: Exchange<Req>) => Promise<Reply> {
  const {
    name,
    verify: verifier,
    schema,
    route,
    onUnknown = 'retry',
    maxBodyBytes = MAX_BODY_BYTES,
  } = options;
  const { failureStatus = 401, now = () => new Date() } = options;
  if (!name) throw new ConfigurationError('A webhook needs a name: event ids are unique per sender only.');
  if (typeof verifier?.verify !== 'function') {
    throw new ConfigurationError(
      `The webhook ${name} needs a check of its signatures: verify.standardWebhooks(…), verify.stripe(…) or another one.`,
    );
  }
  if (typeof route !== 'function')
    throw new ConfigurationError(`The webhook ${name} needs a route: (event) => ({ workflowID, topic }).`);
  if (!['retry', 'park', 'ack'].includes(onUnknown))
    throw new ConfigurationError(`onUnknown of the webhook ${name} is 'retry', 'park' or 'ack'.`);
  // 410, as some senders take it, would end the subscription.
  if (failureStatus !== 400 && failureStatus !== 401)
    throw new ConfigurationError(`failureStatus of the webhook ${name} is 400 or 401.`);

  return async (exchange) => {
    try {
      return await receive(exchange);
    } catch (error) {
      const reply = http.unavailable(exchange, error);
      if (reply === undefined) throw error;
      return reply;
    }
  };

  async function receive(exchange: Exchange<Req>): Promise<Reply> {
    const refuse = (details: ProblemDetails): Reply => http.problem(exchange, details);
    if (exchange.method !== 'POST') {
      return refuse({ status: 405, code: 'method-not-allowed', headers: { Allow: 'POST' } });
    }
    const read = await bodyOf(http, exchange, maxBodyBytes);
    if (read.kind === 'refused') return read.reply;
    const raw = read.body.bytes;
    const bytesAreLost = (): Reply => {
      const detail = `The webhook ${name} cannot check this signature, which is over the bytes as they came: ${lossOf(exchange)}`;
      http.pawl.logger.error(detail);
      return refuse({ status: 500, code: 'body-unavailable', detail, retryable: true });
    };
    if (raw === undefined) return bytesAreLost();
    if (raw.byteLength > maxBodyBytes) {
      return refuse({
        status: 413,
        code: 'body-too-large',
        detail: `The body is larger than ${maxBodyBytes} bytes.`,
      });
    }

    const delivery: Delivery = { headers: exchange.incoming.headers, raw, now: now() };
    const verdict = await askApp(() => verifier.verify(delivery));
    if (!verdict.valid) {
      if (read.body.kind === 'parsed' && read.body.doubtful) return bytesAreLost();
      http.pawl.logger.warn(`A delivery to the webhook ${name} was refused: ${verdict.reason}`);
      return refuse({ status: failureStatus, code: 'signature-invalid', detail: verdict.reason });
    }

    let content: unknown;
    try {
      content = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(raw));
    } catch {
      return refuse({ status: 400, code: 'body-malformed', detail: 'The body is not JSON.' });
    }
    if (isTooDeep(content)) return refuse({ status: 400, code: 'body-malformed', detail: TOO_DEEP });
    if (exchange.getBody() === undefined) exchange.setBody(content);
    const checked = schema === undefined ? { value: content as T } : await check(schema, content);
    if ('issues' in checked && checked.issues !== undefined) {
      return refuse(invalid(checked.issues));
    }

    const identity = verifier.identify(delivery, content);
    const event: WebhookEvent<T> = {
      id: identity.id || digest([raw]),
      type: identity.type ?? '',
      timestamp: verdict.timestamp,
      data: checked.value,
      headers: plainHeaders(exchange),
      raw,
      matchedSecret: verdict.matchedSecret,
    };
    const target = await askApp(() => route(event));
    if (target === null) return acknowledged(200, 'ignored');

    const { id: eventID, data } = event;
    const outcome = await deliver(http, { name, eventID, data, target, park: onUnknown === 'park' });
    if (typeof outcome === 'object') {
      http.pawl.logger.warn(`An event of the webhook ${name} went nowhere: ${outcome.invalid.message}`);
      return refuse(invalid(outcome.invalid.issues));
    }
    switch (outcome) {
      case 'delivered':
        return acknowledged(202, 'accepted');
      case 'duplicate':
        return acknowledged(200, 'duplicate', { 'Webhook-Duplicate': 'true' });
      case 'finished':
        return acknowledged(200, 'finished');
      case 'busy':
        return refuse(WORKFLOW_BUSY);
      case 'unknown':
        return onUnknown === 'ack'
          ? acknowledged(200, 'ignored')
          : refuse({ status: 404, code: 'unknown-workflow', retryable: true });
    }
  }
}

function invalid(issues: readonly StandardSchemaV1.Issue[]): ProblemDetails {
  return {
    status: 422,
    code: 'input-invalid',
    detail: issues[0]?.message,
    issues: issues.map(plainIssue),
  };
}

/** Which parser was in front, as far as can be seen, and what to do about it. */
function lossOf(exchange: Exchange<unknown>): string {
  const type = mediaType(exchange.incoming);
  const { request } = exchange;
  if (typeof request === 'object' && request !== null && 'response' in request && 'request' in request)
    return (
      'a body parser in front of the route has not kept them. Put the route in front of the parser, or parse with ' +
      '@koa/bodyparser, which keeps the text of JSON in UTF-8 in ctx.request.rawBody.'
    );
  const parser =
    typeof exchange.getBody() === 'string'
      ? 'express.text()'
      : type === 'application/x-www-form-urlencoded'
        ? 'express.urlencoded()'
        : type.startsWith('multipart/')
          ? 'a parser of multipart bodies'
          : 'express.json()';
  return (
    `${parser} in front of the route has not kept them. Put the route in front of the parser, or let the parser keep ` +
    `them: express.json({ verify: (req, res, buffer) => { req.rawBody = buffer; } }).`
  );
}

function acknowledged(status: number, what: string, headers: Record<string, string> = {}): Reply {
  return {
    status,
    headers: { 'Content-Type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify({ status: what }),
  };
}

function plainHeaders(exchange: Exchange<unknown>): Record<string, string> {
  const entries = Object.entries(exchange.incoming.headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value] as const],
  );
  return Object.fromEntries(entries);
}
