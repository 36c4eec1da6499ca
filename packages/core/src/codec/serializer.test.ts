// What the default serializer brings back, how it writes it, and what it refuses.
import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { createContext, runInContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { SerializationError } from '../errors/index.ts';
import { createSerializer } from './serializer.ts';

const serializer = createSerializer();
const roundTrip = (value: unknown) => serializer.parse(serializer.stringify(value));

function refusal(value: unknown): SerializationError {
  try {
    serializer.stringify(value);
  } catch (error) {
    if (error instanceof SerializationError) return error;
    throw error;
  }
  throw new Error('It was not refused.');
}

describe('plain JSON', () => {
  test.each([
    ['a string', 'a "quoted" line\n'],
    ['a number', 1.5e300],
    ['zero', 0],
    ['booleans and null', [true, false, null]],
    ['nested data', { a: [{ b: { c: [] } }, {}], d: '' }],
  ])('%s is written as JSON.stringify writes it', (_, value) => {
    expect(serializer.stringify(value)).toBe(JSON.stringify(value));
    expect(roundTrip(value)).toEqual(value);
  });

  test('an object without a prototype becomes a plain one', () => {
    expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
  });

  test('an instance is its own enumerable properties under string keys', () => {
    class Point {
      x = 1;
      #secret = 2;
      get sum() {
        return this.x + this.#secret;
      }
    }
    const labelled = Object.assign(new Point(), { [Symbol('hidden')]: 3 });
    expect(roundTrip({ at: labelled, list: [new Point()] })).toStrictEqual({
      at: { x: 1 },
      list: [{ x: 1 }],
    });
  });

  test('toJSON decides, with the key it is called for, and its result is treated like any value', () => {
    const value = { when: { toJSON: (key: string) => ({ key, at: new Date(0) }) } };
    expect(roundTrip(value)).toStrictEqual({ when: { key: 'when', at: new Date(0) } });
    class Money {
      readonly #cents = 250;
      toJSON() {
        return `${this.#cents / 100} EUR`;
      }
    }
    expect(roundTrip([new Money()])).toEqual(['2.5 EUR']);
  });

  test('the value itself is left untouched', () => {
    const value = { at: new Date(0), list: [undefined, { n: 1n }], plain: { a: 1 } };
    const before = structuredClone(value);
    serializer.stringify(value);
    expect(value).toStrictEqual(before);
  });
});

describe('what JSON has no word for', () => {
  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['undefined as a property', { a: undefined, b: 1 }],
    ['undefined as an item', [1, undefined, 2]],
    ['NaN', Number.NaN],
    ['the infinities', [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    ['minus zero', { n: -0 }],
    ['BigInt', [0n, -12345678901234567890n]],
    ['Date', new Date('2026-02-03T04:05:06.789Z')],
    ['an invalid Date', new Date(Number.NaN)],
    ['a Date outside of four-digit years', new Date(8.64e15)],
    [
      'Map',
      new Map<unknown, unknown>([
        ['a', 1],
        [{ key: new Date(0) }, new Map([[1n, undefined]])],
      ]),
    ],
    ['Set', new Set<unknown>(['a', new Set([Number.NaN]), undefined])],
    ['RegExp', /a\/(?<b>c)/giu],
    ['URL', new URL('https://example.com/a?b=c#d')],
    ['Uint8Array', new Uint8Array([0, 127, 255])],
    ['an empty Uint8Array', new Uint8Array()],
    ['Float64Array', new Float64Array([Number.NaN, -0, 1.5])],
    ['BigInt64Array', new BigInt64Array([-1n])],
    ['ArrayBuffer', new Uint8Array([1, 2, 3]).buffer],
  ])('%s comes back', (_, value) => {
    expect(roundTrip(value)).toStrictEqual(value);
    expect(roundTrip({ in: [value] })).toStrictEqual({ in: [value] });
  });

  test('holes come back as undefined', () => {
    // oxlint-disable-next-line no-sparse-arrays -- the hole is the point
    expect(roundTrip([1, , 3])).toStrictEqual([1, undefined, 3]);
  });

  test('a Buffer comes back as the Uint8Array that it is, with memory of its own', () => {
    const bytes = roundTrip(Buffer.from('hello')) as Uint8Array;
    expect(Buffer.isBuffer(bytes)).toBe(false);
    expect(bytes).toStrictEqual(new TextEncoder().encode('hello'));
    expect(bytes.buffer.byteLength).toBe(5);
  });

  test('a view of a part of a buffer is that part', () => {
    expect(roundTrip(new Uint8Array([1, 2, 3, 4]).subarray(1, 3))).toStrictEqual(new Uint8Array([2, 3]));
  });

  test('boxed primitives are unboxed, as JSON does', () => {
    expect(roundTrip([Object('a'), Object(1), Object(true), Object(1n)])).toStrictEqual(['a', 1, true, 1n]);
  });

  test('values of another realm are recognized', () => {
    const foreign: unknown = runInContext(
      '({ date: new Date(0), map: new Map([[1, [undefined]]]), list: [new Set([1])], plain: { a: 1 } })',
      createContext(),
    );
    expect(roundTrip(foreign)).toStrictEqual({
      date: new Date(0),
      map: new Map([[1, [undefined]]]),
      list: [new Set([1])],
      plain: { a: 1 },
    });
  });
});

describe('hostile text', () => {
  test('NUL and lone surrogates survive, and never stand in the text', () => {
    const value = { 'k\0\ud800': 'v\0\udfff', at: new Date(0) };
    const text = serializer.stringify(value);
    expect(text).not.toMatch(/[\0\p{Surrogate}]/u);
    expect(serializer.parse(text)).toStrictEqual(value);
  });

  test.each([
    '{"__proto__":{"admin":true}}',
    '{"a":{"__proto__":{"admin":true}},"constructor":{"prototype":1}}',
  ])('a key __proto__ is a key: %s', (json) => {
    for (const extra of [undefined, new Date(0), { $pawl: 'x' }]) {
      const value = JSON.parse(json) as Record<string, unknown>;
      if (extra !== undefined) value['extra'] = extra;
      const copy = roundTrip(value) as Record<string, unknown>;
      expect(isDeepStrictEqual(copy, value)).toBe(true);
      expect(Object.keys(copy)).toEqual(Object.keys(value));
      expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
      expect('admin' in copy).toBe(false);
    }
    expect('admin' in {}).toBe(false);
  });

  test.each<[string, unknown]>([
    ['a wrapper', { $pawl: 'Date', v: '2026-01-01T00:00:00.000Z' }],
    ['a wrapper in a wrapper', { $pawl: 'Object', v: { $pawl: 'undefined' } }],
    ['an unknown wrapper', { $pawl: 'Nothing' }],
    ['a wrapper around something', { $pawl: null, v: [new Date(0), { $pawl: 1n }] }],
    ['the key in a text', ['"$pawl":', '{"$pawl":"Date"}', '$pawl', new Date(0)]],
    ['the key in a Map', new Map([[{ $pawl: 'Set' }, { $pawl: 'Map', v: [] }]])],
  ])('data that looks like %s stays data', (_, value) => {
    expect(roundTrip(value)).toStrictEqual(value);
  });
});

describe('refusals name the path', () => {
  class Connection extends EventEmitter {}
  /** As query builders are: awaiting one runs it. */
  class Query {
    // oxlint-disable-next-line unicorn/no-thenable -- that is what makes it one
    then() {}
  }
  const loop: Record<string, unknown> = { list: [] };
  (loop['list'] as unknown[]).push({ back: loop });

  test.each<[string, unknown, string, RegExp]>([
    ['a function', { items: [0, 1, 2, { callback() {} }] }, '$.items[3].callback', /function/],
    ['a function at the root', () => {}, '$', /function/],
    ['a class', { model: Date }, '$.model', /function/],
    ['a symbol', [Symbol('a')], '$[0]', /symbol/],
    ['a promise', { user: Promise.resolve(1) }, '$.user', /did you forget await\?/],
    [
      'a thenable',
      {
        rows: new Query(),
      },
      '$.rows',
      /did you forget await\?/,
    ],
    ['a WeakMap', { 'odd key': new WeakMap() }, '$["odd key"]', /WeakMap/],
    ['an emitter', { socket: new Connection() }, '$.socket', /live Connection/],
    ['a Response', new Response('x'), '$', /Response/],
    ['a function in a Map', new Map([['a', () => {}]]), '$[0][1]', /function/],
    ['a cycle', loop, '$.list[0].back', /contains itself/],
    [
      'a toJSON that returns itself',
      {
        a: {
          toJSON() {
            return this;
          },
        },
      },
      '$.a',
      /toJSON/,
    ],
    [
      'a getter that throws',
      {
        get a() {
          throw new Error('no luck');
        },
      },
      '$',
      /no luck/,
    ],
  ])('%s', (_, value, path, what) => {
    expect(refusal(value).path).toBe(path);
    expect(refusal(value).what).toMatch(what);
    expect(refusal(value).message).toContain(path);
  });

  test('a value that is shared but not cyclic is fine', () => {
    const shared = { a: new Date(0) };
    expect(roundTrip([shared, shared])).toStrictEqual([shared, shared]);
  });

  test('10,000 levels are refused, a thousand are not', () => {
    const nested = (levels: number, seed: unknown) => {
      let value = seed;
      for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { value };
      return value;
    };
    expect(refusal(nested(10_000, 1)).what).toMatch(/levels deep/);
    expect(refusal(nested(10_000, new Date(0))).path.length).toBeLessThan(300);
    expect(roundTrip(nested(1_000, undefined))).toStrictEqual(nested(1_000, undefined));
  });

  test('a toJSON without end is refused, not a crash', () => {
    const endless = () => ({ toJSON: endless });
    expect(refusal(endless())).toBeInstanceOf(SerializationError);
  });

  test('a cycle through wide data is found before it costs anything', () => {
    const order: Record<string, unknown> = {
      rows: Array.from({ length: 10_000 }, (_, i) => ({ i, at: new Date(i) })),
    };
    order['self'] = { order };
    const start = performance.now();
    expect(refusal(order).what).toBe('it contains itself');
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});

describe('damaged text', () => {
  test.each([
    ['no JSON', '{"a":', /damaged/],
    ['an unknown wrapper', '{"$pawl":"Duration","v":1}', /does not know/],
    ['a wrapper with the wrong content', '{"$pawl":"BigInt","v":"x"}', /damaged/],
    ['a name from Object.prototype', '{"$pawl":"constructor","v":1}', /does not know/],
  ])('%s is an error of the catalog', (_, text, what) => {
    expect(() => serializer.parse(text)).toThrow(SerializationError);
    expect(() => serializer.parse(text)).toThrow(what);
    expect(() => serializer.parse(text)).toThrow(/^Cannot read/);
  });

  test('text with white space, as jsonb would give it, is understood', () => {
    expect(serializer.parse('{ "at": { "v": "1970-01-01T00:00:00.000Z", "$pawl": "Date" } }')).toEqual({
      at: new Date(0),
    });
  });
});
