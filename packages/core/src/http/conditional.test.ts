import { expect, test } from 'vitest';
import { isNoneMatch } from './conditional.ts';

test.each([
  [undefined, false],
  ['', false],
  ['"tag"', true],
  ['W/"tag"', true],
  ['*', true],
  [' * ', true],
  ['"a", "tag"', true],
  ['"a","b",W/"tag" , "c"', true],
  [',, "tag"', true],
  ['"with,comma", "tag"', true],
  ['"with, "tag"', false],
  ['"tag', false],
  ['tag', false],
  ['w/"tag"', false],
  ['"tag" "b"', false],
  ['"a", *', false],
  ['"Tag"', false],
  [`"${'a", "'.repeat(3000)}`, false],
])('If-None-Match: %s has the tag: %s', (header, expected) => {
  expect(isNoneMatch(header, '"tag"')).toBe(expected);
  expect(isNoneMatch(header, 'W/"tag"')).toBe(expected);
});
