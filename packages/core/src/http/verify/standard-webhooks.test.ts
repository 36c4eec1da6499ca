// The first vector is the one that the specification's reference implementations are tested with.
import { generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { standardWebhooks } from './standard-webhooks.ts';
import { hmac } from './signature.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const ID = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
const TIME = 1614265330;
const BODY = '{"test": 2432232314}';
const SIGNATURE = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';

interface Changes {
  secrets?: Parameters<typeof standardWebhooks>[0]['secrets'];
  prefix?: string;
  id?: string;
  time?: string;
  signature?: string;
  body?: string;
  now?: number;
}

function verdict(changes: Changes = {}) {
  const prefix = changes.prefix ?? 'webhook';
  return standardWebhooks({ secrets: changes.secrets ?? SECRET }).verify({
    headers: {
      [`${prefix}-id`]: changes.id ?? ID,
      [`${prefix}-timestamp`]: changes.time ?? String(TIME),
      [`${prefix}-signature`]: changes.signature ?? SIGNATURE,
    },
    raw: Buffer.from(changes.body ?? BODY),
    now: new Date((changes.now ?? TIME) * 1000),
  });
}

test('the published vector fits, under webhook-* and under svix-* headers', () => {
  const expected = { valid: true, matchedSecret: 'default', timestamp: new Date(TIME * 1000) };
  expect(verdict()).toEqual(expected);
  expect(verdict({ prefix: 'svix' })).toEqual(expected);
});

test('the secret may come without its prefix', () => {
  expect(verdict({ secrets: SECRET.slice(6) })).toMatchObject({ valid: true });
});

test.each<[string, Changes]>([
  ['another body', { body: `${BODY} ` }],
  ['another id', { id: 'msg_other' }],
  ['another time', { time: String(TIME + 1) }],
  ['another version', { signature: SIGNATURE.replace('v1,', 'v2,') }],
  ['a signature without a version', { signature: SIGNATURE.slice(3) }],
  ['a truncated signature', { signature: SIGNATURE.slice(0, -8) }],
  ['an empty signature', { signature: '' }],
  ['a time that is no number', { time: `${TIME}abc` }],
  ['a time five minutes and a second ago', { now: TIME + 301 }],
  ['a time five minutes and a second ahead', { now: TIME - 301 }],
])('%s does not', (_, changes) => {
  expect(verdict(changes)).toMatchObject({ valid: false });
});

test('a time that is off by exactly five minutes still fits', () => {
  expect(verdict({ now: TIME + 300 })).toMatchObject({ valid: true });
  expect(verdict({ now: TIME - 300 })).toMatchObject({ valid: true });
});

test('one fitting signature of several is enough', () => {
  const other = 'v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=';
  expect(verdict({ signature: `${other} v1a,${SIGNATURE.slice(3)} ${SIGNATURE}` })).toMatchObject({
    valid: true,
  });
});

test('the secret that fits is named', () => {
  const old = `whsec_${Buffer.from('another secret, 24 bytes').toString('base64')}`;
  expect(verdict({ secrets: { previous: old, current: SECRET } })).toMatchObject({
    matchedSecret: 'current',
  });
  expect(verdict({ secrets: [old, SECRET] })).toMatchObject({ matchedSecret: '1' });
  expect(verdict({ secrets: [old] })).toMatchObject({ valid: false });
});

test('v1a is Ed25519 with the public key', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const x = publicKey.export({ format: 'jwk' }).x as string;
  const secrets = { shared: SECRET, public: `whpk_${Buffer.from(x, 'base64url').toString('base64')}` };
  const signature = `v1a,${sign(null, Buffer.from(`${ID}.${TIME}.${BODY}`), privateKey).toString('base64')}`;
  expect(verdict({ secrets, signature })).toMatchObject({ valid: true, matchedSecret: 'public' });
  expect(verdict({ secrets, signature, body: '{}' })).toMatchObject({ valid: false });
});

test('a public key is never used as a shared secret', () => {
  const publicKey = `whpk_${Buffer.alloc(32, 7).toString('base64')}`;
  const forged = `v1,${hmac('sha256', Buffer.alloc(32, 7), [`${ID}.${TIME}.${BODY}`]).toString('base64')}`;
  expect(verdict({ secrets: publicKey, signature: forged })).toMatchObject({ valid: false });
});

test.each([
  [''],
  [[]],
  [{}],
  ['whsec_'],
  ['not base64!'],
  ['whpk_AAAA'],
  [{ a: undefined as unknown as string }],
])('secrets that cannot work are refused when the route is made: %j', (secrets) => {
  expect(() => standardWebhooks({ secrets })).toThrow(/verify\.standardWebhooks/);
});
