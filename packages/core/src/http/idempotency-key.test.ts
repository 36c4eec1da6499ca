import { describe, expect, test } from 'vitest';
import { type KeyFormat, parseIdempotencyKey } from './idempotency-key.ts';

const parse = (value: string, format: KeyFormat = 'lenient') => parseIdempotencyKey([value], format);
const keyed = (key: string) => ({ kind: 'key', key });

describe('a quoted string and a bare token are the same key', () => {
  test.each([
    ['8e03978e-40d5-43dd-bc93-6894a57f9324', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
    ['"8e03978e-40d5-43dd-bc93-6894a57f9324"', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
    ['  "k"\t', 'k'],
    ['"k";a=1;b;c="x,y"', 'k'],
    ['"k" ; a=?1', 'k'],
    ['"a \\"quoted\\" \\\\ key"', 'a "quoted" \\ key'],
    ['"a,b"', 'a,b'],
    ['order:7/try=1+2', 'order:7/try=1+2'],
    [`"${'x'.repeat(255)}"`, 'x'.repeat(255)],
  ])('%s', (value, key) => {
    expect(parse(value)).toEqual(keyed(key));
  });
});

describe('anything else is refused', () => {
  test.each([
    [''],
    ['""'],
    ['   '],
    ['a b'],
    ['a,b'],
    ['"a", "b"'],
    ['a;b=1'],
    ['"unfinished'],
    ['"bad \\escape"'],
    ['"k" and more'],
    ['"k";=1'],
    ['ключ'],
    ['"kläy"'],
    ['"a\tb"'],
    ['a\u0000b'],
    ['x'.repeat(256)],
    ['half"quoted'],
  ])('%j', (value) => {
    expect(parse(value).kind).toBe('invalid');
  });

  test('two headers', () => {
    expect(parseIdempotencyKey(['a', 'a'], 'lenient').kind).toBe('invalid');
  });
});

test('the strict format takes the quoted form only', () => {
  expect(parse('"k"', 'strict')).toEqual(keyed('k'));
  expect(parse('k', 'strict').kind).toBe('invalid');
});

test('no header is no key', () => {
  expect(parseIdempotencyKey([], 'lenient')).toEqual({ kind: 'missing' });
});
