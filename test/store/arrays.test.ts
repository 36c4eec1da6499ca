// Values in array literals come to the database as they are, whatever characters they are made of.
import { describeEachDriver } from '@pawl/test-support/drivers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { plainArray, textArray } from '../../packages/core/src/store/arrays.ts';
import { openStore, type Store } from './open-store.ts';

const PIECES = [
  '"',
  '\\',
  '\n',
  '\t',
  '\u0001',
  '\u001f',
  '\u007f',
  '\u2028',
  'é',
  '😀',
  'NULL',
  '{',
  '}',
  ',',
  ' ',
  'n',
  'u0041',
  'x',
];

describeEachDriver('an array literal', {}, (driver) => {
  let store: Store;
  beforeAll(async () => {
    store = await openStore(driver);
  });
  afterAll(() => store.close());

  const texts = async (values: readonly (string | null)[]) => {
    const rows = await store.rows(
      'SELECT t FROM unnest($1::text::text[]) WITH ORDINALITY u(t, n) ORDER BY n',
      [textArray(values)],
    );
    return rows.map((row) => row.t);
  };

  test('holds every text of up to three hostile pieces, one after another and all together', async () => {
    const words = PIECES.flatMap((a) => [
      a,
      ...PIECES.flatMap((b) => [a + b, ...PIECES.map((c) => a + b + c)]),
    ]);
    for (const piece of PIECES) expect(await texts([piece])).toEqual([piece]);
    expect(await texts([...words, null, '', ...words])).toEqual([...words, null, '', ...words]);
    const plain = words.filter((word) => !/[\p{Cc}]/u.test(word));
    expect(plain.length).toBeGreaterThan(1000);
    expect(await texts(plain)).toEqual(plain);
  });

  test('holds JSON in JSON, and what UTF-8 has no form for as its sign of replacement', async () => {
    const nested = JSON.stringify({ text: JSON.stringify({ a: 'b\n"c"\\' }) });
    expect(await texts([nested, null])).toEqual([nested, null]);
    expect(await texts(['a\ud800b', '"'])).toEqual(['a\ufffdb', '"']);
    expect(await texts([])).toEqual([]);
  });

  test('holds numbers, those without an end too', async () => {
    const values = [0, -1, 1.5, 1e300, 5e-324, Infinity, -Infinity, null];
    const rows = await store.rows(
      'SELECT t FROM unnest($1::text::float8[]) WITH ORDINALITY u(t, n) ORDER BY n',
      [plainArray(values)],
    );
    expect(rows.map((row) => row.t)).toEqual(values);
    const flags = await store.rows(
      'SELECT t FROM unnest($1::text::boolean[]) WITH ORDINALITY u(t, n) ORDER BY n',
      [plainArray([true, null, false])],
    );
    expect(flags.map((row) => row.t)).toEqual([true, null, false]);
  });
});
