import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { ConfigurationError } from '../../errors/index.ts';
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

test('an id that JSON.parse has rounded is no id: the next one looks the same', () => {
  const verifier = verify.stripe({ secrets: 'whsec_new' });
  const idOf = (text: string) =>
    verifier.identify({ headers: {}, raw: Buffer.from(text), now }, JSON.parse(text)).id;
  expect(idOf('{"id":42}')).toBe('42');
  expect(idOf('{"id":9007199254740993}')).toBeUndefined();
  expect(idOf('{"id":1e400}')).toBeUndefined();
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

test('github: the header is `sha256=` and lower-case hex, and nothing else', () => {
  const verifier = verify.github({ secrets: 's' });
  const hex = mac('s', body);
  expect(check(verifier, { 'x-hub-signature-256': `sha256=${hex}` })).toMatchObject({ valid: true });
  for (const given of [
    hex,
    `sha256=${hex}00`,
    `sha256=${hex.toUpperCase()}`,
    `sha1=${hex}`,
    `sha256=${hex},`,
    '',
  ])
    expect(check(verifier, { 'x-hub-signature-256': given })).toMatchObject({ valid: false });
  const { id, type } = verifier.identify(
    { headers: { 'x-github-delivery': 'd', 'x-github-event': 'push' }, raw: Buffer.from(body), now },
    {},
  );
  expect([id, type]).toEqual(['d', 'push']);
});

test('several secrets: each of them fits, and the one that did is named', () => {
  for (const [secrets, names] of [
    [{ current: 'new', previous: 'old' }, ['current', 'previous']],
    [
      ['new', 'old'],
      ['0', '1'],
    ],
  ] as const) {
    const verifier = verify.github({ secrets });
    for (const [index, secret] of ['new', 'old'].entries())
      expect(check(verifier, { 'x-hub-signature-256': `sha256=${mac(secret, body)}` })).toEqual({
        valid: true,
        matchedSecret: names[index],
      });
    expect(check(verifier, { 'x-hub-signature-256': `sha256=${mac('other', body)}` })).toMatchObject({
      valid: false,
    });
  }
});

test.each<[string, () => unknown, RegExp]>([
  ['stripe with an API key', () => verify.stripe({ secrets: 'sk_live_abc' }), /whsec_/],
  ['stripe without one', () => verify.stripe({ secrets: undefined }), /environment variable/],
  ['github with an empty one', () => verify.github({ secrets: { current: 'a', next: '' } }), /"next".*empty/],
  ['github with a line end', () => verify.github({ secrets: 'a\n' }), /white space/],
  ['github with a number', () => verify.github({ secrets: [7 as never] }), /number/],
  ['hmac with none', () => verify.hmac({ secrets: [], header: 'x' }), /at least one/],
  ['hmac without a header', () => verify.hmac({ secrets: 's', header: '' }), /header/],
  [
    'hmac with a time that is not signed',
    () => verify.hmac({ secrets: 's', header: 'x', timestampHeader: 'y' }),
    /signed/,
  ],
  [
    'hmac in an unknown encoding',
    () => verify.hmac({ secrets: 's', header: 'x', encoding: 'hexx' as never }),
    /hexx/,
  ],
])('%s is a mistake that shows when the route is made, without the secret', (_, make, says) => {
  expect(make).toThrow(ConfigurationError);
  expect(make).toThrow(says);
  expect(make).not.toThrow(/sk_live_abc/);
});

test('hmac: the time is checked where there is one, and both cases of hex and paddings of base64url are taken', () => {
  const slack = verify.hmac({
    secrets: 's',
    header: 'X-Signature',
    timestampHeader: 'X-Time',
    signed: ({ headers, raw }) => `${String(headers['x-time'])}:${Buffer.from(raw).toString()}`,
  });
  const sent = (off: number) => {
    const time = String(now.getTime() / 1000 + off);
    return { 'x-time': time, 'x-signature': mac('s', `${time}:${body}`).toUpperCase() };
  };
  expect(check(slack, sent(0))).toEqual({ valid: true, matchedSecret: 'default', timestamp: now });
  for (const off of [-300, 300]) expect(check(slack, sent(off))).toMatchObject({ valid: true });
  for (const off of [-301, 301]) expect(check(slack, sent(off))).toMatchObject({ valid: false });
  expect(check(slack, { 'x-signature': mac('s', `undefined:${body}`) })).toMatchObject({ valid: false });

  const url = verify.hmac({ secrets: 's', header: 'X-Sig', encoding: 'base64url' });
  const plain = createHmac('sha256', 's').update(body).digest('base64url');
  for (const given of [plain, `${plain}=`])
    expect(check(url, { 'x-sig': given })).toMatchObject({ valid: true });
  expect(check(url, { 'x-sig': `${plain.slice(0, -1)}_` })).toMatchObject({ valid: false });
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

test('hmac: a delivery that `signed` does not expect is refused', () => {
  const verifier = verify.hmac({
    secrets: 's',
    header: 'X-Sig',
    signed: ({ headers }) => (headers['x-none'] as string).toUpperCase(),
  });
  expect(check(verifier, { 'x-sig': mac('s', body) })).toMatchObject({ valid: false });
});

test('custom: only true and a verdict are yes', async () => {
  for (const said of [undefined, null, 1, 'yes', {}, { valid: 'yes' }])
    expect(
      await check(
        verify.custom(() => said as never),
        {},
      ),
    ).not.toMatchObject({ valid: true });
  const verdict = { valid: true, matchedSecret: 'mine', timestamp: now } as const;
  expect(
    await check(
      verify.custom(async () => verdict),
      {},
    ),
  ).toEqual(verdict);
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
