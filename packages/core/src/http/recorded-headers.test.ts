import { expect, test } from 'vitest';
import { isRecorded, recordedHeaders } from './recorded-headers.ts';

test.each([
  'Set-Cookie',
  'Transfer-Encoding',
  'Connection',
  'Keep-Alive',
  'Authorization',
  'WWW-Authenticate',
  'Content-Length',
  'Date',
  'Access-Control-Allow-Origin',
  'RateLimit',
  'RateLimit-Policy',
  'X-RateLimit-Remaining',
  'X-Request-Id',
  'traceparent',
  'tracestate',
  'X-Auth-Token',
  'Client-Secret',
  'X-Password-Expires',
  'X-CSRF-Token',
  'X-API-Key',
])('%s belongs to one response and is not recorded', (name) => {
  expect(isRecorded(name)).toBe(false);
  expect(isRecorded(name.toLowerCase())).toBe(false);
});

test.each([
  'Content-Type',
  'Location',
  'ETag',
  'Link',
  'Cache-Control',
  'X-Order-Id',
  'Content-Language',
  'Vary',
])('%s is recorded', (name) => {
  expect(isRecorded(name)).toBe(true);
});

test('a header that was there before and has not changed is not recorded', () => {
  const before = { 'x-powered-by': 'Express', vary: 'Origin', link: ['a', 'b'] };
  const now = [
    ['X-Powered-By', 'Express'],
    ['Vary', 'Origin, Accept'],
    ['Link', ['a', 'b']],
    ['X-Count', 3],
  ] as const;
  expect(recordedHeaders(before, now as unknown as [string, string][])).toEqual([
    ['Vary', 'Origin, Accept'],
    ['X-Count', '3'],
  ]);
});
