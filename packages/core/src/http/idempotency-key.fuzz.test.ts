// A hundred thousand headers by the grammar of structured fields (RFC 8941), whole and damaged, judged by a reader that
// goes by the RFC's own steps, character by character.
import { expect, test } from 'vitest';
import { parseIdempotencyKey } from './idempotency-key.ts';

const INPUTS = 100_000;

/** Mulberry32: the same numbers for the same seed. */
function randomFrom(seed: number) {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  const pick = <T>(from: ArrayLike<T>): T => from[below(from.length)] as T;
  const times = (most: number, make: () => string): string =>
    Array.from({ length: below(most + 1) }, make).join('');
  return { below, pick, times };
}

const VISIBLE = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index)).join('');
const TOKEN_CHARS = "abcXYZ019!#$%&'*+-.^_`|~:/";
const DAMAGE = '\u0000\u0001\t\n\r "\\,;=()<>@[]{}?:\u007f\u0080\u00e9\u00ff\u0436';

function generator(seed: number) {
  const { below, pick, times } = randomFrom(seed);
  // Mostly short, and now and then just around the limit.
  const long = (): string => (below(20) === 0 ? pick(VISIBLE).repeat(pick([248, 254, 255, 256])) : '');
  const text = (): string => long() + times(pick([0, 1, 5, 12]), () => pick(`${VISIBLE} `));
  const quoted = (key: string): string => `"${key.replace(/["\\]/g, '\\$&')}"`;
  const item = (): string =>
    pick([
      () => quoted(text()),
      () => pick('aZ*') + times(6, () => pick(TOKEN_CHARS)),
      () => pick(['', '-']) + times(16, () => pick('0123456789')),
      () => `${times(13, () => pick('0123456789'))}.${times(4, () => pick('0123456789'))}`,
      () => `:${times(8, () => pick('abYZ09+/='))}:`,
      () => pick(['?0', '?1', '?2', '']),
    ])();
  const name = (): string => pick('az*A0') + times(4, () => pick('az09_-.*A'));
  const parameter = (): string =>
    `${times(1, () => ' ')};${times(2, () => ' ')}${name()}${pick(['', `=${item()}`])}`;
  const space = (): string => times(2, () => pick(' \t'));
  const damaged = (value: string): string => {
    const at = below(value.length + 1);
    const cut = below(2);
    return value.slice(0, at) + pick(['', pick(DAMAGE)]) + value.slice(at + cut);
  };
  return {
    pick,
    space,
    parameters: () => times(3, parameter),
    key: () => text() || 'k',
    quoted,
    header(): string {
      const token = long() + times(pick([3, 12]), () => pick(VISIBLE));
      let value = space() + pick([quoted(text()), token, item()]) + times(3, parameter) + space();
      while (below(2) === 0) value = damaged(value);
      return value;
    },
  };
}

/** RFC 8941, 4.2.5, 4.2.3.2 and 4.2.3.1; undefined where it fails. Spaces may also stand before a semicolon. */
function readByTheSteps(header: string): string | undefined {
  let rest = header.replace(/^[ \t]+/, '').replace(/[ \t]+$/, '');
  const take = (pattern: RegExp): string | undefined => {
    const found = pattern.exec(rest)?.[0];
    if (found === undefined || !rest.startsWith(found)) return undefined;
    rest = rest.slice(found.length);
    return found;
  };
  const string = (): string | undefined => {
    let value = '';
    for (let at = 1; at < rest.length; at += 1) {
      const char = rest[at] as string;
      if (char === '"') {
        rest = rest.slice(at + 1);
        return value;
      }
      if (char < ' ' || char > '~') return undefined;
      if (char !== '\\') value += char;
      else if (rest[at + 1] === '"' || rest[at + 1] === '\\') value += rest[(at += 1)];
      else return undefined;
    }
    return undefined;
  };
  const number = (): string | undefined => {
    const digits = take(/^-?\d+(\.\d*)?/);
    const [whole = '', fraction] = (digits ?? '').replace('-', '').split('.');
    if (digits === undefined) return undefined;
    if (fraction === undefined) return whole.length <= 15 ? digits : undefined;
    return whole.length <= 12 && fraction.length >= 1 && fraction.length <= 3 ? digits : undefined;
  };
  const bareItem = (): string | undefined => {
    if (rest.startsWith('"')) return string();
    if (/^[-\d]/.test(rest)) return number();
    if (rest.startsWith(':')) return take(/^:[A-Za-z0-9+/=]*:/);
    if (rest.startsWith('?')) return take(/^\?[01]/);
    return take(/^[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*/);
  };
  if (!rest.startsWith('"')) {
    const bare = /^[!-~]{1,255}$/.test(rest) && !/[",;\\]/.test(rest);
    return bare ? rest : undefined;
  }
  const key = string();
  if (key === undefined) return undefined;
  while (take(/^[ \t]*;/) !== undefined) {
    take(/^ */);
    if (take(/^[a-z*][a-z0-9_\-.*]*/) === undefined) return undefined;
    if (take(/^=/) !== undefined && bareItem() === undefined) return undefined;
  }
  return /^[ \t]*$/.test(rest) && key.length >= 1 && key.length <= 255 ? key : undefined;
}

test(`${INPUTS} headers: each is a key or refused, as the RFC has it`, () => {
  const make = generator(8941);
  let keys = 0;
  for (let count = 0; count < INPUTS; count += 1) {
    const header = make.header();
    const parsed = parseIdempotencyKey([header], 'lenient');
    const wanted = readByTheSteps(header);
    if (parsed.kind === 'key') keys += 1;
    const found = parsed.kind === 'key' ? parsed.key : undefined;
    if (found !== wanted || parsed.kind === 'missing')
      expect({ header, found }).toEqual({ header, found: wanted });
    const strict = parseIdempotencyKey([header], 'strict');
    const isQuoted = header.trimStart().startsWith('"');
    if (strict.kind !== (isQuoted ? parsed.kind : 'invalid')) expect({ header, strict }).toEqual({ header });
  }
  // Neither kind is rare, or the comparison would say little.
  expect(keys).toBeGreaterThan(INPUTS / 10);
  expect(keys).toBeLessThan(INPUTS / 2);
});

test('the spellings of a key always agree', () => {
  const make = generator(7);
  let bare = 0;
  for (let count = 0; count < 20_000; count += 1) {
    const key = make.key().slice(0, 255);
    const wanted = { kind: 'key', key };
    const quoted = `${make.space()}${make.quoted(key)}`;
    const asToken = parseIdempotencyKey([`${make.space()}${key}`], 'lenient');
    const asString = parseIdempotencyKey([quoted], 'lenient');
    if (asString.kind !== 'key' || asString.key !== key)
      expect({ quoted, asString }).toEqual({ quoted, wanted });
    if (!/[ ",;\\]/.test(key)) {
      bare += 1;
      if (asToken.kind !== 'key' || asToken.key !== key) expect({ key, asToken }).toEqual({ key, wanted });
    }
  }
  expect(bare).toBeGreaterThan(1000);
});

test('headers as long as a server takes them are judged at once', () => {
  for (const piece of [' ', ';', ';a', ';a=', '" ', '\\', '\\"', ';a=1.', '\t', ';a="\\"', 'a', '-', '?']) {
    const long = piece.repeat(64_000 / piece.length);
    for (const header of [long, `"k"${long}`, `"k"${long}\u0001`, `"${long}`, `"k";a="${long}`]) {
      expect(['key', 'invalid']).toContain(parseIdempotencyKey([header], 'lenient').kind);
    }
  }
});
