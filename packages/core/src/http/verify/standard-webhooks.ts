// Owns the Standard Webhooks scheme (standardwebhooks.com), also under the older svix-* headers:
// `v1` is HMAC-SHA256 with a shared secret (whsec_…), `v1a` is Ed25519 with the sender's public key (whpk_…).
import { createPublicKey, type KeyObject, verify as verifySignature } from 'node:crypto';
import { decodeBase64, type NamedSecret, namedSecrets, type Secrets } from './secrets.ts';
import { freshTime, hmac, matchingSecret, type TimeOptions, toleranceMs } from './signature.ts';
import { field, header, refused, type Verifier } from './verifier.ts';

export interface StandardWebhooksOptions extends TimeOptions {
  /** `whsec_…` for shared secrets (the prefix may be missing), `whpk_…` for public keys. */
  readonly secrets: Secrets;
}

type Key =
  | { readonly kind: 'shared'; readonly bytes: Buffer }
  | { readonly kind: 'public'; readonly key: KeyObject };

/**
 * @example
 * http.webhook({ name: 'billing', verify: verify.standardWebhooks({ secrets: process.env.BILLING_SECRET }), route })
 */
export function standardWebhooks(options: StandardWebhooksOptions): Verifier {
  const keys = namedSecrets<Key>(options.secrets, 'verify.standardWebhooks', readKey);
  const shared: NamedSecret<Buffer>[] = keys.flatMap(({ name, key }) =>
    key.kind === 'shared' ? [{ name, key: key.bytes }] : [],
  );
  const publicKeys: NamedSecret<KeyObject>[] = keys.flatMap(({ name, key }) =>
    key.kind === 'public' ? [{ name, key: key.key }] : [],
  );
  const tolerance = toleranceMs(options);

  return {
    verify(delivery) {
      const read = (name: string): string | undefined =>
        header(delivery, `webhook-${name}`) ?? header(delivery, `svix-${name}`);
      const id = read('id');
      const time = read('timestamp');
      const signatures = read('signature');
      if (!id || !time || !signatures) {
        return refused('One of the headers webhook-id, webhook-timestamp and webhook-signature is missing.');
      }
      const fresh = freshTime(time, delivery.now, tolerance);
      if ('refusal' in fresh) return fresh.refusal;

      const prefix = `${id}.${time}.`;
      const candidates = signaturesByVersion(signatures);
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
      id: header(delivery, 'webhook-id') ?? header(delivery, 'svix-id'),
      type: field(data, 'type'),
    }),
  };
}

function signaturesByVersion(text: string): { v1: Buffer[]; v1a: Buffer[] } {
  const found: { v1: Buffer[]; v1a: Buffer[] } = { v1: [], v1a: [] };
  for (const entry of text.split(/[ ]+/)) {
    const comma = entry.indexOf(',');
    const version = entry.slice(0, comma);
    const signature = decodeBase64(entry.slice(comma + 1));
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
