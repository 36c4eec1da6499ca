// Values in the form in which they are stored, for programs and for people, whoever's serializer made them.
import { expect, test } from 'vitest';
import { createCodec } from '../codec/index.ts';
import { errorForJSON, readMessage, showError, showValue, storedCodec } from './stored-values.ts';

const codec = createCodec();
const stored = (value: unknown) => storedCodec.decode(codec.encode(value));

test('people see what was stored, programs how', () => {
  const value = { at: new Date(0), tags: new Map([['a', 1n]]), text: 'line\nbreak' };
  expect(showValue(stored(value), {})).toBe(
    "{ at: 1970-01-01T00:00:00.000Z, tags: Map(1) { 'a' => 1n }, text: 'line\\nbreak' }",
  );
  expect(stored(new Date(0))).toEqual({ $pawl: 'Date', v: '1970-01-01T00:00:00.000Z' });
  expect([showValue(stored(undefined), {}), showValue(stored(null), {})]).toEqual(['', 'null']);
});

test('what is sent is what was shown', () => {
  const value = { at: new Date(0), $pawl: 'mine', many: new Set([NaN]) };
  const text = JSON.stringify(stored(value));
  expect(codec.decode(storedCodec.encode(readMessage(text)))).toEqual(value);
  expect(() => readMessage('{"$pawl":"BigInt","v":"x"}')).toThrow('Cannot read');
  expect(() => readMessage('yes')).toThrow('The message is not JSON');
});

test('texts of a foreign serializer are shown as they are', () => {
  expect(storedCodec.decode('a1:not json')).toBe('a1:not json');
  expect(showValue(storedCodec.decode('{"json":{"a":1},"$pawl":"Unknown"}'), { line: true })).toBe(
    "{ json: { a: 1 }, '$pawl': 'Unknown' }",
  );
  expect(errorForJSON(storedCodec.decodeError('{"json":{}}'))).toEqual({ thrown: { json: {} } });
  expect(showError(storedCodec.decodeError('a1:not json'), { line: true })).toBe("thrown: 'a1:not json'");
});

test('an error has its name, message and cause; what is no error is shown as thrown', () => {
  const error = Object.assign(new RangeError('no\nsuch order', { cause: new Error('inner') }), {
    code: 'E_ORDER',
  });
  const decoded = storedCodec.decodeError(codec.encodeError(error));
  expect(errorForJSON(decoded)).toMatchObject({ name: 'RangeError', message: 'no\nsuch order' });
  expect(showError(decoded, { line: true })).toBe('RangeError: no such order');
  expect(showError(decoded)).toMatch(/code: 'E_ORDER'.*\[cause\]: Error: inner/s);
  expect(showError(storedCodec.decodeError(codec.encodeError('just a text')))).toBe("thrown: 'just a text'");
  expect(errorForJSON(new TypeError('made here'))).toEqual({ name: 'TypeError', message: 'made here' });
  expect(errorForJSON(null)).toBeNull();
});

test('a line is cut where it gets long', () => {
  expect([...showValue('é'.repeat(500), { line: true })].length).toBeLessThanOrEqual(80);
  expect(showError({ name: 'Error', message: 'x'.repeat(500) }, { line: true })).toMatch(/^Error: x+…$/);
});
