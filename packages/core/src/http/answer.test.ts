import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { type Answer, withoutEncoding } from './answer.ts';

const zipped = (size: number): Answer => ({
  status: 200,
  headers: [['Content-Encoding', 'gzip']],
  body: gzipSync(Buffer.alloc(size)),
});

test('a compressed answer is recorded as plain bytes, up to the limit and not a byte more', async () => {
  const plain = await withoutEncoding(zipped(1_000), 1_000);
  expect(plain).toEqual({ status: 200, headers: [], body: Buffer.alloc(1_000) });
  expect(await withoutEncoding(zipped(1_001), 1_000)).toBeUndefined();
  expect(await withoutEncoding(zipped(50_000_000), 1_000)).toBeUndefined();
});

test('what is not what its encoding says is recorded as it is', async () => {
  const answer = { ...zipped(0), body: Buffer.from('plain') };
  expect(await withoutEncoding(answer, 1_000)).toBe(answer);
});
