// Owns which response headers belong to a recorded answer, and which to the one response that carried it.
// Never touches a response.
import type { OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http';

export type HeaderEntry = readonly [name: string, value: string | readonly string[]];

const NEVER = new Set([
  'set-cookie',
  'set-cookie2',
  'content-length',
  'date',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'authorization',
  'authentication-info',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'www-authenticate',
  'x-request-id',
  'x-correlation-id',
  'request-id',
  'traceparent',
  'tracestate',
  'traceresponse',
  'baggage',
  'b3',
  'x-amzn-trace-id',
  'x-cloud-trace-context',
  'server-timing',
  'x-response-time',
  'idempotent-replayed',
  'idempotency-stored',
]);
const NEVER_LIKE =
  /^(?:access-control-|(?:x-)?ratelimit|x-b3-|uber-trace-id)|token|secret|password|csrf|xsrf|api-?key/;

/** True for a header that a replay may repeat to whoever sends the key again. */
export function isRecorded(name: string): boolean {
  const lower = name.toLowerCase();
  return !NEVER.has(lower) && !NEVER_LIKE.test(lower);
}

/** The headers that changed since `before`, without those that never belong to a record. */
export function recordedHeaders(
  before: OutgoingHttpHeaders,
  now: Iterable<readonly [string, OutgoingHttpHeader | undefined]>,
): HeaderEntry[] {
  const entries: HeaderEntry[] = [];
  for (const [name, value] of now) {
    if (value === undefined || !isRecorded(name)) continue;
    const given = Array.isArray(value) ? value.map(String) : String(value);
    const earlier = before[name.toLowerCase()];
    if (earlier !== undefined && sameValue(earlier, given)) continue;
    entries.push([name, given]);
  }
  return entries;
}

function sameValue(one: OutgoingHttpHeader, other: string | readonly string[]): boolean {
  const list = (value: OutgoingHttpHeader | readonly string[]): string =>
    JSON.stringify([value].flat().map(String));
  return list(one) === list(other);
}
