// Owns the Standard Webhooks scheme (github.com/standard-webhooks, spec/standard-webhooks.md, 1.0.0), also under the older
// svix-* headers: `v1` is HMAC-SHA256 with a shared secret (whsec_…), `v1a` is Ed25519 with the sender's public key (whpk_…).
import { createPublicKey, type KeyObject, verify as verifySignature } from 'node:crypto';
import { decodeBase64, type NamedSecret, namedSecrets, type Secrets } from './secrets.ts';
import { freshTime, hmac, matchingSecret, type TimeOptions, toleranceMs } from './signature.ts';
import { type Delivery, field, header, refused, type Verifier } from './verifier.ts';

export interface StandardWebhooksOptions extends TimeOptions {
  /** `whsec_…` for shared secrets (the prefix may be missing), `whpk_…` for public keys. */
  readonly secrets: Secrets;
}

type Key =
  | { readonly kind: 'shared'; readonly bytes: Buffer }
  | { readonly kind: 'public'; readonly key: KeyObject };

/**
 * Event id is the header `webhook-id`, type the body's `type`.
 *
 * @throws ConfigurationError for secrets that cannot work
 * @example
 * http.webhook({ name: 'billing', verify: verify.standardWebhooks({ secrets: process.env.BILLING_SECRET }), route })
 */
export function standardWebhooks(options: StandardWebhooksOptions): Verifier {
  const keys = namedSecrets<Key>(
    options.secrets,
    'verify.standardWebhooks',
    readKey,
    'it is base64, as whsec_… or, for a public key, whpk_…',
  );
  const shared: NamedSecret<Buffer>[] = keys.flatMap(({ name, key }) =>
    key.kind === 'shared' ? [{ name, key: key.bytes }] : [],
  );
  const publicKeys: NamedSecret<KeyObject>[] = keys.flatMap(({ name, key }) =>
    key.kind === 'public' ? [{ name, key: key.key }] : [],
  );
  const tolerance = toleranceMs(options);

  return {
    verify(delivery) {
      const { id, time, signatures } = readHeaders(delivery);
      if (!id || !time || !signatures) {
        return refused('One of the headers webhook-id, webhook-timestamp and webhook-signature is missing.');
      }
      // The specification: with one, parts of what is signed could be moved over to their neighbours.
      if (id.includes('.')) return refused('The id has a full stop in it.');
      const fresh = freshTime(time, delivery.now, tolerance);
      if ('refusal' in fresh) return fresh.refusal;

      const prefix = `${id}.${time}.`;
      const candidates = signaturesByVersion(signatures);
      if (candidates === undefined) return refused('The header webhook-signature is not well-formed.');
      const matched =
        matchingSecret(shared, candidates.v1, (key) => hmac('sha256', key, [prefix, delivery.raw])) ??
        publicKeys.find(({ key }) => {
          const content = Buffer.concat([Buffer.from(prefix, 'utf8'), delivery.raw]);
          return candidates.v1a.some((signature) => verifySignature(null, content, key, signature));
        })?.name;
      if (matched === undefined) return refused('No signature fits.');
      return { valid: true, matchedSecret: matched, timestamp: fresh.timestamp };
    },
    identify: (delivery, data) => ({
      id: readHeaders(delivery).id,
      type: field(data, 'type'),
    }),
  };
}

/** One set of headers or the other, never some of each. */
function readHeaders(delivery: Delivery): Record<'id' | 'time' | 'signatures', string | undefined> {
  const prefix = header(delivery, 'webhook-signature') === undefined ? 'svix' : 'webhook';
  return {
    id: header(delivery, `${prefix}-id`),
    time: header(delivery, `${prefix}-timestamp`),
    signatures: header(delivery, `${prefix}-signature`),
  };
}

/** Of the versions that there will be, only these two are known. */
function signaturesByVersion(text: string): { v1: Buffer[]; v1a: Buffer[] } | undefined {
  const found: { v1: Buffer[]; v1a: Buffer[] } = { v1: [], v1a: [] };
  for (const entry of text.split(' ')) {
    const [, version, encoded] = /^(v[0-9]+[a-z]*),([^\s,]+)$/.exec(entry) ?? [];
    if (version === undefined || encoded === undefined) return undefined;
    const signature = decodeBase64(encoded);
    if (signature !== undefined && (version === 'v1' || version === 'v1a')) found[version].push(signature);
  }
  return found;
}

function readKey(secret: string): Key | undefined {
  if (secret.startsWith('whpk_')) {
    const bytes = decodeBase64(secret.slice('whpk_'.length));
    if (bytes?.byteLength !== 32) return undefined;
    const key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') },
      format: 'jwk',
    });
    return { kind: 'public', key };
  }
  const bytes = decodeBase64(secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : secret);
  return bytes === undefined ? undefined : { kind: 'shared', bytes };
}
