// Owns the way of a keyed request up to its claim: key, scope, body, fingerprint. Both modes go this way.
// Never claims.
import { fingerprintOf } from './fingerprint.ts';
import { type Exchange, headerValues, type Reply, splitTarget } from './exchange.ts';
import { requestID } from './digest.ts';
import type { HttpContext } from './http-context.ts';
import { parseIdempotencyKey } from './idempotency-key.ts';
import type { IdempotencySettings } from './options.ts';
import { parseJSON, readBody, type RequestBody, TOO_DEEP } from './request-body.ts';

export type ReadBody = Extract<RequestBody, { kind: 'bytes' | 'parsed' }>;

/** A request with a key that may ask for it. */
export interface Keyed {
  readonly key: string;
  readonly id: string;
  readonly fingerprint: string;
}

export type KeyOf =
  | { readonly kind: 'none' }
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'refused'; readonly reply: Reply };

/** The key of a request, as far as its header tells. */
export function keyOf<Req>(
  http: HttpContext<Req>,
  exchange: Exchange<Req>,
  settings: IdempotencySettings<Req>,
): KeyOf {
  if (!settings.methods.has(exchange.method) || settings.skip(exchange.request)) return { kind: 'none' };
  const parsed = parseIdempotencyKey(headerValues(exchange.incoming, settings.header), settings.keyFormat);
  if (parsed.kind === 'key') return parsed;
  if (parsed.kind === 'missing' && !settings.required) return { kind: 'none' };
  const code = parsed.kind === 'missing' ? 'idempotency-key-missing' : 'idempotency-key-invalid';
  const detail =
    parsed.kind === 'missing'
      ? 'This operation needs an Idempotency-Key header, new for each operation and the same for each try of it.'
      : parsed.detail;
  const headers = { Link: `<${http.problemType(code)}>; rel="describedby"` };
  return { kind: 'refused', reply: http.problem(exchange, { status: 400, code, detail, headers }) };
}

/** The body, or the refusal of it. */
export async function bodyOf<Req>(
  http: HttpContext<Req>,
  exchange: Exchange<Req>,
  limit: number,
): Promise<
  { readonly kind: 'body'; readonly body: ReadBody } | { readonly kind: 'refused'; readonly reply: Reply }
> {
  const body = await readBody(exchange, limit);
  if (body.kind === 'bytes' || body.kind === 'parsed') {
    if (body.kind === 'bytes') offerParsedBody(exchange, body.bytes);
    return { kind: 'body', body };
  }
  const reply =
    body.kind === 'too-large'
      ? http.problem(exchange, {
          status: 413,
          code: 'body-too-large',
          detail: `The body is larger than ${limit} bytes.`,
        })
      : http.problem(exchange, {
          status: 400,
          code: 'body-malformed',
          detail: body.kind === 'too-deep' ? TOO_DEEP : 'The body ended early.',
        });
  return { kind: 'refused', reply };
}

/** For the options' functions, and an app without a body parser behind us; one that is there parses the stream itself. */
function offerParsedBody(exchange: Exchange<unknown>, bytes: Uint8Array): void {
  if (exchange.getBody() !== undefined) return;
  const json = parseJSON(exchange, bytes);
  if (json !== undefined && 'value' in json) exchange.setBody(json.value);
}

/** Who asks, and for what. */
export async function identify<Req>(
  http: HttpContext<Req>,
  exchange: Exchange<Req>,
  settings: IdempotencySettings<Req>,
  key: string,
): Promise<
  { readonly kind: 'identified'; readonly id: string } | { readonly kind: 'refused'; readonly reply: Reply }
> {
  let scope: string;
  try {
    scope = settings.scope === 'global' ? 'global' : ((await settings.scope(exchange.request)) ?? '');
    if (typeof scope !== 'string') throw new TypeError(`scope() must give a string, not a ${typeof scope}.`);
  } catch (error) {
    http.pawl.logger.error({ err: error }, 'The scope of an Idempotency-Key could not be determined');
    const detail = 'The handler was not run.';
    return {
      kind: 'refused',
      reply: http.problem(exchange, { status: 500, code: 'scope-failed', detail, retryable: true }),
    };
  }
  if (scope === '') {
    const detail = 'An Idempotency-Key belongs to a caller, and this request does not say who that is.';
    return { kind: 'refused', reply: http.problem(exchange, { status: 401, code: 'scope-missing', detail }) };
  }
  const { path } = splitTarget(exchange.originalUrl);
  return { kind: 'identified', id: requestID({ scope, method: exchange.method, path, key }) };
}

export function keyed<Req>(
  exchange: Exchange<Req>,
  settings: IdempotencySettings<Req>,
  identity: { readonly key: string; readonly id: string; readonly body: ReadBody },
): Keyed {
  const { key, id, body } = identity;
  return { key, id, fingerprint: fingerprintOf(exchange, body, settings) };
}

/** 422: the key stands for another request. */
export function reused<Req>(http: HttpContext<Req>, exchange: Exchange<Req>): Reply {
  return http.problem(exchange, {
    status: 422,
    code: 'idempotency-key-reused',
    detail: 'This key was sent before with another request. Use a new key for a new operation.',
  });
}

/** 409: the response was sent once and could not be kept. */
export function unavailableAnswer<Req>(
  http: HttpContext<Req>,
  exchange: Exchange<Req>,
  workflowID: string,
): Reply {
  return http.problem(exchange, {
    status: 409,
    code: 'response-unavailable',
    detail:
      'The operation was done; its response was a stream, too large to be kept, or deleted with its workflow, and is not made again.',
    workflowID,
  });
}
