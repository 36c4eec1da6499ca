import { expect, test } from 'vitest';
import { age, moment, span } from './times.ts';

test.each([
  [-5, '0s', '0 ms'],
  [12.4, '0s', '12 ms'],
  [999.6, '0s', '999 ms'],
  [3299, '3s', '3.2 s'],
  [59_999, '59s', '59.9 s'],
  [60_000, '1m', '1 min'],
  [245_000, '4m', '4 min 5 s'],
  [3_600_000, '1h', '1 h'],
  [90_000_000, '1d', '1 d 1 h'],
])('%d ms is an age of %s and a span of %s', (milliseconds, shortly, exactly) => {
  expect([age(milliseconds), span(milliseconds)]).toEqual([shortly, exactly]);
});

test('a moment is in UTC and says so; what is no time has none', () => {
  expect(moment(Date.UTC(2026, 0, 31, 12, 0, 5, 999))).toBe('2026-01-31 12:00:05Z');
  expect(moment(9e15)).toBe('?');
});
