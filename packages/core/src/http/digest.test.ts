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

test('what is stored under a digest is found by the next version', () => {
  const request = { scope: 't1', method: 'POST', path: '/orders', key: 'k' };
  expect(requestID(request)).toBe('1cAd36U2x_dQahIwhZrlq0mtfaquns6i0Hq-gfr5QHs');
  // A lone surrogate counts as the character that stands for what is none.
  const parts = ['é', Buffer.from([0, 255]), '', Buffer.alloc(0), '\ud800', 'end'];
  expect(digest(parts)).toBe('JtWmlul4LeeWQ8sJiog0F0GFJxVQ4Hx4-pLtctXeXIA');
});
