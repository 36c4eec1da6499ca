import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import type { Exchange } from './exchange.ts';
import { fingerprintOf } from './fingerprint.ts';

interface Sent {
  method?: string;
  url?: string;
  type?: string;
  headers?: Record<string, string>;
  body?: string;
  parsed?: unknown;
}

function fingerprint(sent: Sent, options: Parameters<typeof fingerprintOf<unknown>>[2] = {}): string {
  const headers = { 'content-type': sent.type ?? 'application/json', ...sent.headers };
  const headersDistinct = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
  const exchange = {
    request: sent,
    method: sent.method ?? 'POST',
    originalUrl: sent.url ?? '/orders',
    incoming: { headers, headersDistinct } as unknown as IncomingMessage,
  } as Exchange<unknown>;
  const body =
    'parsed' in sent
      ? ({ kind: 'parsed', value: sent.parsed, bytes: undefined } as const)
      : ({ kind: 'bytes', bytes: Buffer.from(sent.body ?? '') } as const);
  return fingerprintOf(exchange, body, options);
}

test('the order of the fields and white space do not matter in JSON', () => {
  expect(fingerprint({ body: '{"a":1,"b":[2,{"c":3,"d":4}]}' })).toBe(
    fingerprint({ body: '{ "b": [2, {"d":4,"c":3}], "a": 1 }' }),
  );
});

test('a body that was parsed before has the same fingerprint as its bytes', () => {
  expect(fingerprint({ parsed: { b: 2, a: 1 } })).toBe(fingerprint({ body: '{"a":1,"b":2}' }));
});

test('charset and other parameters of the media type do not matter, the media type does', () => {
  const json = fingerprint({ body: '{}' });
  expect(fingerprint({ body: '{}', type: 'application/json; charset=utf-8' })).toBe(json);
  expect(fingerprint({ body: '{}', type: 'application/merge-patch+json' })).not.toBe(json);
});

test.each<[string, Sent]>([
  ['method', { method: 'PATCH', body: '{}' }],
  ['path', { url: '/other', body: '{}' }],
  ['query', { url: '/orders?dry=1', body: '{}' }],
  ['body', { body: '{"a":1}' }],
  ['an array for a value', { body: '[{}]' }],
])('another %s is another request', (_, sent) => {
  expect(fingerprint(sent)).not.toBe(fingerprint({ body: '{}' }));
});

test('what is no JSON counts by its bytes', () => {
  expect(fingerprint({ body: '{"a":1, ' })).not.toBe(fingerprint({ body: '{"a":1,' }));
  expect(fingerprint({ type: 'text/plain', body: '{"a":1}' })).not.toBe(
    fingerprint({ type: 'text/plain', body: '{ "a":1}' }),
  );
});

test('a multipart body is the same with another boundary', () => {
  const part = (boundary: string): Sent => ({
    type: `multipart/form-data; boundary=${boundary}`,
    body: `--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--${boundary}--\r\n`,
  });
  expect(fingerprint(part('xyz'))).toBe(fingerprint(part('abc')));
});

test('ignored fields may differ, at any depth and in lists', () => {
  const options = { ignoreFields: ['sentAt', 'meta.try', 'items.seen'] };
  const one = fingerprint(
    { body: '{"a":1,"sentAt":1,"meta":{"try":1,"x":2},"items":[{"seen":1,"n":1}]}' },
    options,
  );
  expect(
    fingerprint({ body: '{"a":1,"sentAt":2,"meta":{"try":2,"x":2},"items":[{"seen":2,"n":1}]}' }, options),
  ).toBe(one);
  expect(
    fingerprint({ body: '{"a":1,"sentAt":1,"meta":{"try":1,"x":3},"items":[{"seen":1,"n":1}]}' }, options),
  ).not.toBe(one);
});

test('included headers count', () => {
  const options = { includeHeaders: ['X-Version'] };
  const one = fingerprint({ headers: { 'x-version': '1' } }, options);
  expect(fingerprint({ headers: { 'x-version': '2' } }, options)).not.toBe(one);
  expect(fingerprint({ headers: { 'x-version': '2' } })).toBe(fingerprint({ headers: { 'x-version': '1' } }));
});

test('an own function replaces the whole', () => {
  const options = { fingerprint: () => 'same' };
  expect(fingerprint({ body: '{"a":1}' }, options)).toBe(fingerprint({ url: '/x', body: '{}' }, options));
});
