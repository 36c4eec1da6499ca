import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { verify } from './index.ts';
import type { Verifier } from './verifier.ts';

const now = new Date(1_700_000_000_000);
const body = '{"id":"evt_1","type":"paid"}';
const mac = (secret: string, text: string, encoding: 'hex' | 'base64' = 'hex', algorithm = 'sha256') =>
  createHmac(algorithm, secret).update(text).digest(encoding);
const check = (verifier: Verifier, headers: Record<string, string>, raw = body) =>
  verifier.verify({ headers, raw: Buffer.from(raw), now });

test('stripe: time and body are signed, several v1 may be there', () => {
  const verifier = verify.stripe({ secrets: { previous: 'whsec_old', current: 'whsec_new' } });
  const time = now.getTime() / 1000;
  const signed = `t=${time},v1=${'0'.repeat(64)},v1=${mac('whsec_new', `${time}.${body}`)},v0=1`;
  expect(check(verifier, { 'stripe-signature': signed })).toMatchObject({
    valid: true,
    matchedSecret: 'current',
  });
  expect(check(verifier, { 'stripe-signature': signed }, `${body} `)).toMatchObject({ valid: false });
  const late = time - 301;
  expect(
    check(verifier, { 'stripe-signature': `t=${late},v1=${mac('whsec_new', `${late}.${body}`)}` }),
  ).toMatchObject({ valid: false });
  expect(check(verifier, {})).toMatchObject({ valid: false });
  expect(verifier.identify({ headers: {}, raw: Buffer.from(body), now }, JSON.parse(body))).toEqual({
    id: 'evt_1',
    type: 'paid',
  });
});

test('github: the example of its documentation', () => {
  const verifier = verify.github({ secrets: "It's a Secret to Everybody" });
  const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
  expect(check(verifier, { 'x-hub-signature-256': signature }, 'Hello, World!')).toMatchObject({
    valid: true,
  });
  expect(check(verifier, { 'x-hub-signature-256': signature }, 'Hello, world!')).toMatchObject({
    valid: false,
  });
  expect(check(verifier, { 'x-hub-signature': `sha1=${mac('x', body, 'hex', 'sha1')}` })).toMatchObject({
    valid: false,
  });
});

test('hmac: header, prefix, encoding, algorithm and what is signed are free', () => {
  const verifier = verify.hmac({
    secrets: 's',
    header: 'X-Signature',
    prefix: 'v0=',
    encoding: 'base64',
    algorithm: 'sha512',
    signed: ({ headers, raw }) => `${String(headers['x-time'])}:${Buffer.from(raw).toString()}`,
  });
  const headers = { 'x-time': '5', 'x-signature': `v0=${mac('s', `5:${body}`, 'base64', 'sha512')}` };
  expect(check(verifier, headers)).toMatchObject({ valid: true });
  expect(check(verifier, { ...headers, 'x-time': '6' })).toMatchObject({ valid: false });
  expect(() => verify.hmac({ secrets: 's', header: 'x', algorithm: 'rot13' })).toThrow(/rot13/);
});

test('custom: true is yes, false and a throw are no', async () => {
  expect(
    await check(
      verify.custom(() => true),
      {},
    ),
  ).toMatchObject({ valid: true });
  expect(
    await check(
      verify.custom(async () => false),
      {},
    ),
  ).toMatchObject({ valid: false });
  const throwing = verify.custom(() => {
    throw new Error('no');
  });
  expect(await check(throwing, {})).toMatchObject({ valid: false });
});
