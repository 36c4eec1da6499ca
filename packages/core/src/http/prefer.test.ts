import { expect, test } from 'vitest';
import { parsePrefer } from './prefer.ts';

test.each([
  [[], { respondAsync: false, wait: undefined }],
  [['respond-async'], { respondAsync: true, wait: undefined }],
  [['respond-async, wait=10'], { respondAsync: true, wait: 10 }],
  [['Respond-Async', 'wait="5"'], { respondAsync: true, wait: 5 }],
  [['wait=5; strict, wait=9'], { respondAsync: false, wait: 5 }],
  [['wait=-1, handling=lenient, return="minimal"'], { respondAsync: false, wait: undefined }],
  [['wait=soon'], { respondAsync: false, wait: undefined }],
])('%j', (values, expected) => {
  expect(parsePrefer(values)).toEqual(expected);
});

test('a header as long as a server takes it is read at once', () => {
  const long = ' '.repeat(64_000);
  expect(parsePrefer([`wait=${long}"a`, `${long}=${long}`, `respond-async${long};${long}`])).toEqual({
    respondAsync: true,
    wait: undefined,
  });
});
