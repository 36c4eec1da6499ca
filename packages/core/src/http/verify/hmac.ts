// Owns the HMAC scheme with free choices, for providers that have one of their own.
import { getHashes } from 'node:crypto';
import { ConfigurationError } from '../../errors/index.ts';
import { namedSecrets, type Secrets } from './secrets.ts';
import { hmac as mac, matchingSecret } from './signature.ts';
import { type Delivery, field, header, refused, type Verifier } from './verifier.ts';

export interface HmacOptions {
  readonly secrets: Secrets;
  /** The header that holds the signature. */
  readonly header: string;
  /** What stands before the signature in the header, as `sha256=`; default nothing. */
  readonly prefix?: string | undefined;
  /** Default `hex`. */
  readonly encoding?: 'hex' | 'base64' | 'base64url' | undefined;
  /** Default `sha256`. */
  readonly algorithm?: string | undefined;
  /** What is signed; default the raw body. */
  readonly signed?: ((delivery: Delivery) => string | Uint8Array) | undefined;
  /** The event's id; default the body's field `id`. */
  readonly id?: ((delivery: Delivery, data: unknown) => string | undefined) | undefined;
  /** The event's type; default the body's field `type`. */
  readonly type?: ((delivery: Delivery, data: unknown) => string | undefined) | undefined;
}

export function hmac(options: HmacOptions): Verifier {
  const secrets = namedSecrets(options.secrets, 'verify.hmac', (secret) => secret);
  const { prefix = '', encoding = 'hex', algorithm = 'sha256' } = options;
  if (!getHashes().includes(algorithm))
    throw new ConfigurationError(`verify.hmac: there is no hash ${JSON.stringify(algorithm)}.`);
  return {
    verify(delivery) {
      const given = header(delivery, options.header)?.trim();
      if (!given?.startsWith(prefix))
        return refused(`The header ${options.header} is missing or not well-formed.`);
      const signature = Buffer.from(given.slice(prefix.length), encoding);
      const content = options.signed?.(delivery) ?? delivery.raw;
      const matched = matchingSecret(secrets, [signature], (key) => mac(algorithm, key, [content]));
      return matched === undefined
        ? refused('The signature does not fit.')
        : { valid: true, matchedSecret: matched };
    },
    identify: (delivery, data) => ({
      id: options.id === undefined ? field(data, 'id') : options.id(delivery, data),
      type: options.type === undefined ? field(data, 'type') : options.type(delivery, data),
    }),
  };
}
