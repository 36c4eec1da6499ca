// Owns the HMAC scheme with free choices, for providers that have one of their own.
import { createHmac } from 'node:crypto';
import { ConfigurationError } from '../../errors/index.ts';
import { decodeBase64, namedSecrets, type Secrets } from './secrets.ts';
import {
  decodeHex,
  freshTime,
  hmac as mac,
  matchingSecret,
  type TimeOptions,
  toleranceMs,
} from './signature.ts';
import { type Delivery, field, header, refused, type Verifier } from './verifier.ts';

export interface HmacOptions extends TimeOptions {
  readonly secrets: Secrets;
  /** The header that holds the signature. */
  readonly header: string;
  /** What stands before the signature in the header, as `sha256=`; default nothing. */
  readonly prefix?: string | undefined;
  /** Default `hex`. */
  readonly encoding?: 'hex' | 'base64' | 'base64url' | undefined;
  /** Default `sha256`. */
  readonly algorithm?: string | undefined;
  /** What is signed; default the raw body. If it throws, the signature does not fit. */
  readonly signed?: ((delivery: Delivery) => string | Uint8Array) | undefined;
  /**
   * The header that holds the time of signing, in Unix seconds; it must be part of what is signed. Default: none, and
   * what somebody overheard can be sent again for ever.
   */
  readonly timestampHeader?: string | undefined;
  /** The event's id; default the body's field `id`. */
  readonly id?: ((delivery: Delivery, data: unknown) => string | undefined) | undefined;
  /** The event's type; default the body's field `type`. */
  readonly type?: ((delivery: Delivery, data: unknown) => string | undefined) | undefined;
}

/**
 * @throws ConfigurationError for options that cannot work
 * @example
 * // Slack signs `v0:{time}:{body}`.
 * verify.hmac({
 *   secrets: process.env.SLACK_SIGNING_SECRET,
 *   header: 'X-Slack-Signature',
 *   prefix: 'v0=',
 *   timestampHeader: 'X-Slack-Request-Timestamp',
 *   signed: ({ headers, raw }) => `v0:${headers['x-slack-request-timestamp']}:${Buffer.from(raw).toString()}`,
 * })
 */
export function hmac(options: HmacOptions): Verifier {
  const secrets = namedSecrets(options.secrets, 'verify.hmac', (secret) => secret);
  const { prefix = '', encoding = 'hex', algorithm = 'sha256', timestampHeader } = options;
  const tolerance = toleranceMs(options);
  if (!options.header) throw new ConfigurationError('verify.hmac: which header holds the signature?');
  if (!['hex', 'base64', 'base64url'].includes(encoding))
    throw new ConfigurationError(`verify.hmac: there is no encoding ${JSON.stringify(encoding)}.`);
  if (timestampHeader !== undefined && options.signed === undefined)
    throw new ConfigurationError(
      `verify.hmac: ${timestampHeader} proves nothing unless it is signed. Say what is signed: signed: ({ headers, raw }) => …`,
    );
  try {
    createHmac(algorithm, 'key').digest();
  } catch {
    throw new ConfigurationError(`verify.hmac: there is no hash ${JSON.stringify(algorithm)}.`);
  }

  return {
    verify(delivery) {
      const given = header(delivery, options.header);
      const signature = given?.startsWith(prefix) ? decode(given.slice(prefix.length), encoding) : undefined;
      if (signature === undefined)
        return refused(`The header ${options.header} is missing or not well-formed.`);
      let timestamp: Date | undefined;
      if (timestampHeader !== undefined) {
        const fresh = freshTime(header(delivery, timestampHeader) ?? '', delivery.now, tolerance);
        if ('refusal' in fresh) return fresh.refusal;
        ({ timestamp } = fresh);
      }
      let content: string | Uint8Array;
      try {
        content = options.signed === undefined ? delivery.raw : options.signed(delivery);
      } catch {
        // Anybody can send what it does not expect.
        return refused('What is signed cannot be told.');
      }
      const matched = matchingSecret(secrets, [signature], (key) => mac(algorithm, key, [content]));
      return matched === undefined
        ? refused('The signature does not fit.')
        : { valid: true, matchedSecret: matched, timestamp };
    },
    identify: (delivery, data) => ({
      id: options.id === undefined ? field(data, 'id') : options.id(delivery, data),
      type: options.type === undefined ? field(data, 'type') : options.type(delivery, data),
    }),
  };
}

/** Senders differ in the case of hex and in the padding of base64url. */
function decode(text: string, encoding: 'hex' | 'base64' | 'base64url'): Buffer | undefined {
  if (encoding === 'hex') return decodeHex(/^[0-9A-F]+$/.test(text) ? text.toLowerCase() : text);
  return decodeBase64(encoding === 'base64url' ? text.replace(/={1,2}$/, '') : text, encoding);
}
