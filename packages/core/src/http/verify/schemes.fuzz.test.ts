// Valid deliveries of every scheme, each with something changed at random: none may be taken. The seed of a run is
// printed when it fails; PAWL_FUZZ_SEED and PAWL_FUZZ_ROUNDS give another one.
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { verify } from './index.ts';
import type { Verifier } from './verifier.ts';

const SEED = Number(process.env['PAWL_FUZZ_SEED'] ?? 20261122);
const ROUNDS = Number(process.env['PAWL_FUZZ_ROUNDS'] ?? 100_000);
const NOW = new Date(1_700_000_000_000);
const TIME = String(NOW.getTime() / 1000);

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

interface Sample {
  readonly scheme: string;
  readonly verifier: Verifier;
  /** Those that prove something; others are not signed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly raw: Buffer;
}

const keys = generateKeyPairSync('ed25519');
const publicKey = createPublicKey(createPrivateKey(keys.privateKey.export({ format: 'pem', type: 'pkcs8' })));
const whpk = `whpk_${Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url').toString('base64')}`;
const SHARED = Buffer.from('0123456789abcdef01234567');
const whsec = `whsec_${SHARED.toString('base64')}`;
const mac = (algorithm: string, key: string | Buffer, ...parts: (string | Buffer)[]): Buffer => {
  const hash = createHmac(algorithm, key);
  for (const part of parts) hash.update(part);
  return hash.digest();
};

function samplesOf(raw: Buffer, id: string): Sample[] {
  const content = Buffer.concat([Buffer.from(`${id}.${TIME}.`), raw]);
  const v1 = `v1,${mac('sha256', SHARED, content).toString('base64')}`;
  const v1a = `v1a,${sign(null, content, keys.privateKey).toString('base64')}`;
  const both = verify.standardWebhooks({ secrets: { shared: whsec, public: whpk } });
  const standard = (prefix: string, signature: string): Sample => ({
    scheme: `standardWebhooks ${prefix} ${signature.split(',')[0]}`,
    verifier: both,
    headers: {
      [`${prefix}-id`]: id,
      [`${prefix}-timestamp`]: TIME,
      [`${prefix}-signature`]: signature,
    },
    raw,
  });
  return [
    standard('webhook', v1),
    standard('svix', v1),
    standard('webhook', v1a),
    {
      scheme: 'stripe',
      verifier: verify.stripe({ secrets: ['whsec_old', 'whsec_new'] }),
      headers: {
        'stripe-signature': `t=${TIME},v1=${mac('sha256', 'whsec_new', `${TIME}.`, raw).toString('hex')}`,
      },
      raw,
    },
    {
      scheme: 'github',
      verifier: verify.github({ secrets: { previous: 'one', current: 'two' } }),
      headers: { 'x-hub-signature-256': `sha256=${mac('sha256', 'two', raw).toString('hex')}` },
      raw,
    },
    {
      scheme: 'hmac hex with a time',
      verifier: verify.hmac({
        secrets: 'slack',
        header: 'X-Signature',
        prefix: 'v0=',
        timestampHeader: 'X-Time',
        signed: ({ headers, raw: body }) =>
          Buffer.concat([Buffer.from(`v0:${String(headers['x-time'])}:`), body]),
      }),
      headers: {
        'x-time': TIME,
        'x-signature': `v0=${mac('sha256', 'slack', `v0:${TIME}:`, raw).toString('hex')}`,
      },
      raw,
    },
    {
      scheme: 'hmac base64 sha512',
      verifier: verify.hmac({ secrets: 's', header: 'X-Sig', encoding: 'base64', algorithm: 'sha512' }),
      headers: { 'x-sig': mac('sha512', 's', raw).toString('base64') },
      raw,
    },
  ];
}

const ALPHABET = 'abcdefABCDEF0123456789+/=-_., :;v1at\u0000\t\u00e9\u0660{}"';

function mutateText(text: string, below: (limit: number) => number): string {
  const at = below(text.length + 1);
  const letter = ALPHABET[below(ALPHABET.length)] as string;
  const until = at + 1 + below(8);
  switch (below(10)) {
    case 0:
      return text.slice(0, at) + letter + text.slice(at);
    case 1:
      return text.slice(0, at) + text.slice(at + 1);
    case 2:
      return text.slice(0, at) + letter + text.slice(at + 1);
    case 3:
      return text.slice(0, at) + text.slice(at, until).toUpperCase() + text.slice(until);
    case 4:
      return text.slice(0, at) + text.slice(at, until).toLowerCase() + text.slice(until);
    case 5:
      return text.slice(0, at);
    case 6:
      return text.slice(at) + text.slice(0, at);
    case 7:
      return text.slice(0, at) + encodeURIComponent(text.slice(at, until)) + text.slice(until);
    case 8:
      return [...text].toReversed().join('');
    default:
      return text.replace(/\d+/, (digits) => `${Number(digits) + below(3) - 1 || ''}`);
  }
}

function mutateBytes(raw: Buffer, below: (limit: number) => number): Buffer {
  const at = below(raw.byteLength + 1);
  const byte = Buffer.of(below(256));
  switch (below(4)) {
    case 0:
      return Buffer.concat([raw.subarray(0, at), byte, raw.subarray(at)]);
    case 1:
      return Buffer.concat([raw.subarray(0, at), raw.subarray(at + 1)]);
    case 2:
      return Buffer.concat([raw.subarray(0, at), byte, raw.subarray(at + 1)]);
    default:
      return Buffer.from(JSON.stringify(JSON.parse(raw.toString()), null, below(2)));
  }
}

test(`${ROUNDS} changed deliveries, none is taken`, { timeout: 600_000 }, async () => {
  const below = randomFrom(SEED);
  const samples = [
    '{"id":"evt_1","type":"paid","amount":1.50}',
    '{ "id": 7, "name": "caf\u00e9 \u{1F642}" }',
    '[]',
  ].flatMap((text, index) => samplesOf(Buffer.from(text), `msg_${index}abcXYZ`));
  for (const { scheme, verifier, headers, raw } of samples)
    expect([scheme, await verifier.verify({ headers, raw, now: NOW })]).toMatchObject([
      scheme,
      { valid: true },
    ]);

  const taken: unknown[] = [];
  const changed = new Map<string, number>();
  for (let round = 0; round < ROUNDS;) {
    const sample = samples[below(samples.length)] as Sample;
    const headers: Record<string, string> = { ...sample.headers };
    let { raw } = sample;
    const names = Object.keys(headers);
    const name = names[below(names.length)] as string;
    const what = below(12);
    if (what < 8)
      for (let n = below(3); n >= 0; n -= 1) headers[name] = mutateText(headers[name] as string, below);
    else if (what < 10) raw = mutateBytes(raw, below);
    else if (what === 10) delete headers[name];
    else {
      // Of another body: for the same one it would be valid too.
      const others = samples.filter((each) => each.raw !== sample.raw);
      const other = others[below(others.length)] as Sample;
      headers[name] = Object.values(other.headers)[below(Object.keys(other.headers).length)] as string;
    }
    const same = raw.equals(sample.raw) && names.every((each) => headers[each] === sample.headers[each]);
    if (same) continue;
    round += 1;
    changed.set(sample.scheme, (changed.get(sample.scheme) ?? 0) + 1);
    const verdict = await sample.verifier.verify({ headers, raw, now: NOW });
    if (verdict.valid)
      taken.push({ seed: SEED, round, scheme: sample.scheme, headers, body: raw.toString() });
  }
  expect(taken).toEqual([]);
  expect(changed.size).toBe(7);
  for (const count of changed.values()) expect(count).toBeGreaterThan(ROUNDS / 20);
});
