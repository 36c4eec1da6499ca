import { expect, test } from 'vitest';
import { derivedWorkflowID, digest, requestID } from './digest.ts';

test('parts that run into each other are told apart', () => {
  expect(digest(['ab', 'c'])).not.toBe(digest(['a', 'bc']));
  expect(digest(['a', ''])).not.toBe(digest(['', 'a']));
  expect(digest(['1:a'])).not.toBe(digest(['1', 'a']));
});

test('bytes and the text that they spell are the same part', () => {
  expect(digest([Buffer.from('é', 'utf8')])).toBe(digest(['é']));
});

test('scope, method, path and key each make another request', () => {
  const request = { scope: 't1', method: 'POST', path: '/orders', key: 'k' };
  const ids = [
    request,
    { ...request, scope: 't2' },
    { ...request, method: 'PATCH' },
    { ...request, path: '/o' },
    { ...request, key: 'K' },
  ];
  expect(new Set(ids.map(requestID)).size).toBe(5);
  expect(requestID(request)).toMatch(/^[\w-]{43}$/);
});

test('the id of a workflow shows neither key nor scope, and changes with the generation', () => {
  const id = requestID({ scope: 'tenant', method: 'POST', path: '/', key: 'my-secret-key' });
  expect(derivedWorkflowID(id, 1)).not.toContain('my-secret-key');
  expect(derivedWorkflowID(id, 1)).not.toBe(derivedWorkflowID(id, 2));
});
