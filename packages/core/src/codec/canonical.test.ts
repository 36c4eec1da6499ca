import { expect, test } from 'vitest';
import { SerializationError } from '../errors/index.ts';
import { canonicalJSON, sameInput } from './canonical.ts';
import { createSerializer } from './serializer.ts';

const serializer = createSerializer();
const same = (a: unknown, b: unknown) =>
  sameInput(serializer.stringify(a), serializer.stringify(b), serializer);

test('keys are sorted by code units at every level, and there is no white space', () => {
  expect(canonicalJSON({ b: [{ d: 1, c: 2 }], a: 'x', 10: 0, 9: 0 })).toBe(
    '{"10":0,"9":0,"a":"x","b":[{"c":2,"d":1}]}',
  );
  expect(canonicalJSON({ '\u20ac': 1, '\r': 2, '\u{1f600}': 3, '\ufb33': 4, 1: 5 })).toBe(
    '{"\\r":2,"1":5,"\u20ac":1,"\u{1f600}":3,"\ufb33":4}',
  );
});

test('numbers and strings are written as RFC 8785 wants them', () => {
  expect(canonicalJSON([Number('333333333.33333329'), 1e30, 4.5, 2e-3, 1e-27, -0])).toBe(
    '[333333333.3333333,1e+30,4.5,0.002,1e-27,0]',
  );
  expect(canonicalJSON('\u20ac$\u000f\nA\'B"\\\\"/')).toBe('"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"');
});

test('the order of keys does not matter, the order of items does', () => {
  expect(same({ a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 })).toBe(true);
  expect(same([1, 2], [2, 1])).toBe(false);
});

test.each<[unknown, unknown]>([
  [1, '1'],
  [null, undefined],
  [{}, []],
  [{ a: undefined }, {}],
  [new Date(0), '1970-01-01T00:00:00.000Z'],
  [1n, 1],
  [{ $pawl: 'undefined' }, undefined],
  [{ $pawl: '-0' }, 0],
  [{ a: { $pawl: '-0' } }, { a: 0 }],
  [JSON.parse('{"__proto__":1}'), {}],
])('%o is not %o', (a, b) => {
  expect(same(a, b)).toBe(false);
  expect(canonicalJSON(a)).not.toBe(canonicalJSON(b));
});

test('inputs are compared as values, whatever the serializer writes', () => {
  expect(sameInput(null, null, serializer)).toBe(true);
  expect(sameInput(null, 'null', serializer)).toBe(false);
  expect(sameInput('{"a":1,"b":2}', '{ "b": 2, "a": 1 }', serializer)).toBe(true);
  const lines = {
    stringify: String,
    parse: (text: string) => Object.fromEntries(text.split('\n').map((line) => line.split('='))),
  };
  expect(sameInput('a=1\nb=2', 'b=2\na=1', lines)).toBe(true);
  expect(sameInput('a=1\nb=2', 'a=1\nb=3', lines)).toBe(false);
});

test('what cannot be serialized has no canonical form', () => {
  expect(() => canonicalJSON({ a: () => {} })).toThrow(SerializationError);
});
