import { expect, test } from 'vitest';
import { ConfigurationError } from '../errors/index.ts';
import { type Duration, secondsToMilliseconds, toMilliseconds } from './duration.ts';

test.each<[Duration, number]>([
  [0, 0],
  [1_500, 1_500],
  [0.4, 0],
  ['0ms', 0],
  ['250ms', 250],
  ['1.1s', 1_100],
  ['90s', 90_000],
  ['5m', 300_000],
  ['1.5h', 5_400_000],
  ['365d', 31_536_000_000],
])('%o is %i ms', (duration, milliseconds) => {
  expect(toMilliseconds(duration, 'delay')).toBe(milliseconds);
});

test.each<[unknown, RegExp]>([
  [-1, /The delay must not be negative; it is -1\./],
  ['-5s', /must be a number, or .*; it is "-5s"\./],
  [Number.NaN, /it is NaN/],
  ['', /it is ""/],
  ['5', /it is "5"/],
  ['5 minutes', /it is "5 minutes"/],
  ['Infinitys', /it is "Infinitys"/],
  ['1e3s', /it is "1e3s"/],
  [null, /it is null/],
  [{}, /must be a number/],
  [Number.POSITIVE_INFINITY, /at most 3,000 years; it is Infinity/],
  ['9999999999d', /at most 3,000 years/],
])('%o is refused', (duration, message) => {
  expect(() => toMilliseconds(duration as Duration, 'delay')).toThrow(ConfigurationError);
  expect(() => toMilliseconds(duration as Duration, 'delay')).toThrow(message);
});

test('for ever is possible where it is asked for', () => {
  expect(toMilliseconds(Number.POSITIVE_INFINITY, 'wait', { allowInfinity: true })).toBe(
    Number.POSITIVE_INFINITY,
  );
  expect(() => toMilliseconds(1e300, 'wait', { allowInfinity: true })).toThrow(/or Infinity/);
});

test('seconds are converted under the same rules', () => {
  expect(secondsToMilliseconds(0.25, 'timeoutSeconds')).toBe(250);
  expect(secondsToMilliseconds(Number.POSITIVE_INFINITY, 'timeoutSeconds', { allowInfinity: true })).toBe(
    Infinity,
  );
  expect(() => secondsToMilliseconds(-1, 'timeoutSeconds')).toThrow(
    /The timeoutSeconds must not be negative; it is -1/,
  );
  expect(() => secondsToMilliseconds('5s' as never, 'timeoutSeconds')).toThrow(ConfigurationError);
});
