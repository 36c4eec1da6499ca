// Random values, from a fixed seed, through the serializer and back.
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { canonicalJSON } from './canonical.ts';
import { isPlainJSON } from './plain-json.ts';
import { createSerializer } from './serializer.ts';

const ROUNDS = 3_000;
type Random = () => number;

/** mulberry32: small, and the same everywhere. */
function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const below = (random: Random, n: number) => Math.floor(random() * n);
const pick = <T>(random: Random, items: readonly T[]): T => items[below(random, items.length)] as T;

const STRINGS = [
  '',
  'a',
  '$pawl',
  'v',
  '__proto__',
  '"$pawl":',
  'constructor',
  'toString',
  '\0',
  '\ud800',
  '💚',
  '\u2028',
  'x'.repeat(300),
];
const NUMBERS = [
  0,
  -0,
  1,
  -1.5,
  2 ** 53,
  1e-320,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];

function text(random: Random): string {
  return random() < 0.5
    ? pick(random, STRINGS)
    : String.fromCharCode(...list(random, 6, () => below(random, 65_536)));
}

function list<T>(random: Random, most: number, make: () => T): T[] {
  return Array.from({ length: below(random, most) }, make);
}

function anyValue(random: Random, levels: number): unknown {
  const part = () => anyValue(random, levels - 1);
  switch (below(random, levels === 0 ? 9 : 15)) {
    case 0:
      return text(random);
    case 1:
      return pick(random, NUMBERS);
    case 2:
      return random() * 1e6;
    case 3:
      return pick(random, [true, false, null, undefined]);
    case 4:
      return BigInt(below(random, 2 ** 31)) ** 3n;
    case 5:
      return new Date(random() * 2 ** 41);
    case 6:
      return Uint8Array.from(list(random, 10, () => below(random, 256)));
    case 7:
      return new RegExp(pick(random, ['a+', '\\/', '[$]']), pick(random, ['', 'g', 'iu']));
    case 8:
      return new URL(`https://example.com/${below(random, 100)}`);
    case 9:
      return new Map(list(random, 4, () => [part(), part()]));
    case 10:
      return new Set(list(random, 4, part));
    case 11:
      return Object.assign(new RangeError(text(random), { cause: part() }), { detail: random() });
    case 12:
      return list(random, 6, part);
    default:
      return object(list(random, 6, () => [text(random), part()]));
  }
}

/** Object.fromEntries takes `__proto__` for a key like any other. */
const object = (entries: [string, unknown][]) => Object.fromEntries(entries);

function shuffled(random: Random, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => shuffled(random, item));
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => [
    key,
    shuffled(random, item),
  ]);
  return object(entries.sort(() => random() - 0.5));
}

test.each([1, 2, 3])('whatever goes in comes out (seed %i)', (seed) => {
  const random = seeded(seed);
  const serializer = createSerializer();
  for (let round = 0; round < ROUNDS; round++) {
    const value = anyValue(random, 4);
    const stored = serializer.stringify(value);
    const restored = serializer.parse(stored);
    if (!isDeepStrictEqual(restored, value)) expect.unreachable(`not the same: ${stored}`);
    if (/[\0\p{Surrogate}]/u.test(stored)) expect.unreachable(`not storable: ${stored}`);
    if (isPlainJSON(value) && stored !== JSON.stringify(value)) expect.unreachable(`not plain: ${stored}`);
    if (serializer.stringify(restored) !== stored) expect(serializer.stringify(restored)).toBe(stored);
  }
});

test('the canonical text depends on nothing but the value', () => {
  const random = seeded(4);
  const serializer = createSerializer();
  for (let round = 0; round < ROUNDS; round++) {
    const value = anyValue(random, 4);
    const text = canonicalJSON(value);
    if (canonicalJSON(shuffled(random, value)) !== text)
      expect(canonicalJSON(shuffled(random, value))).toBe(text);
    if (canonicalJSON(serializer.parse(serializer.stringify(value))) !== text) expect.unreachable(text);
  }
});
