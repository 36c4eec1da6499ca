// The vectors are those that the reference implementations of the specification are tested with: the shared secret's in all
// of them, the key pair's in the one for Go.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { ConfigurationError } from '../../errors/index.ts';
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

test('the published vector of a key pair fits, and with another key, body, id or time it does not', () => {
  const seed = Buffer.from('VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=', 'base64');
  // RFC 8410: this is what stands before the seed in PKCS #8.
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const { x } = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({
    format: 'jwk',
  });
  const secrets = `whpk_${Buffer.from(x as string, 'base64url').toString('base64')}`;
  const signature =
    'v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==';
  expect(verdict({ secrets, signature })).toEqual({
    valid: true,
    matchedSecret: 'default',
    timestamp: new Date(TIME * 1000),
  });
  for (const changes of [
    { body: '{}' },
    { id: 'msg_other' },
    { time: String(TIME + 1) },
    { secrets: SECRET },
  ])
    expect(verdict({ secrets, signature, ...changes })).toMatchObject({ valid: false });
});

test('several signatures as the reference implementations try them: one that fits is enough', () => {
  const other = 'Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=';
  expect(verdict({ signature: `v1,${other} v2,${other} ${SIGNATURE} v1,${other}` })).toMatchObject({
    valid: true,
  });
  for (const signature of ['v1,dawfeoifkpqwoekfpqoekf', SIGNATURE.slice(0, 8), 'v1,', `v1,${other}`])
    expect(verdict({ signature })).toMatchObject({ valid: false });
});

test('an id with a full stop is refused: what is signed could be cut in another place', () => {
  const id = `msg_1.${TIME}`;
  const key = Buffer.from(SECRET.slice(6), 'base64');
  const signature = `v1,${hmac('sha256', key, [`${id}.${TIME}.${BODY}`]).toString('base64')}`;
  expect(verdict({ id, signature })).toMatchObject({
    valid: false,
    reason: expect.stringMatching(/full stop/),
  });
});

test('the headers are one set or the other, never some of each', () => {
  const headers = { 'svix-id': ID, 'svix-timestamp': String(TIME), 'webhook-signature': SIGNATURE };
  const delivery = { headers, raw: Buffer.from(BODY), now: new Date(TIME * 1000) };
  expect(standardWebhooks({ secrets: SECRET }).verify(delivery)).toMatchObject({ valid: false });
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
  [undefined],
  [`${SECRET}\n`],
  [{ current: SECRET, previous: '' }],
  [{ a: undefined as unknown as string }],
])('secrets that cannot work are refused when the route is made: %j', (secrets) => {
  expect(() => standardWebhooks({ secrets })).toThrow(ConfigurationError);
  expect(() => standardWebhooks({ secrets })).toThrow(/verify\.standardWebhooks/);
  expect(() => standardWebhooks({ secrets })).not.toThrow(SECRET.slice(6));
});
