// Owns Stripe's scheme: `Stripe-Signature: t=…,v1=…`, HMAC-SHA256 over time and body
// (docs.stripe.com/webhooks, "Verify manually"). Other elements than t and v1 are left alone.
import { namedSecrets, type Secrets } from './secrets.ts';
import { decodeHex, freshTime, hmac, matchingSecret, type TimeOptions, toleranceMs } from './signature.ts';
import { field, header, refused, type Verifier } from './verifier.ts';

export interface StripeOptions extends TimeOptions {
  /** The endpoint's signing secrets, `whsec_…`: each endpoint has its own, and so has `stripe listen`. */
  readonly secrets: Secrets;
}

/**
 * Event id and type are the body's `id` and `type`.
 *
 * @throws ConfigurationError for secrets that cannot work
 * @example
 * http.webhook({ name: 'stripe', verify: verify.stripe({ secrets: process.env.STRIPE_WEBHOOK_SECRET }), route })
 */
export function stripe(options: StripeOptions): Verifier {
  const secrets = namedSecrets(
    options.secrets,
    'verify.stripe',
    (secret) => (/^whsec_./.test(secret) ? secret : undefined),
    'the signing secret of an endpoint begins with whsec_ (an API key, sk_…, does not do)',
  );
  const tolerance = toleranceMs(options);

  return {
    verify(delivery) {
      const given = header(delivery, 'stripe-signature');
      if (!given) return refused('The header Stripe-Signature is missing.');
      const elements = given.split(',').map((element) => /^([a-z][a-z0-9]*)=(\S+)$/.exec(element));
      const named = (name: string): string[] =>
        elements.flatMap((element) => (element?.[1] === name ? [element[2] as string] : []));
      const [time, ...others] = named('t');
      if (time === undefined || others.length > 0 || elements.includes(null))
        return refused('The header Stripe-Signature is not well-formed.');
      const fresh = freshTime(time, delivery.now, tolerance);
      if ('refusal' in fresh) return fresh.refusal;
      const signatures = named('v1').flatMap((text) => decodeHex(text) ?? []);
      const matched = matchingSecret(secrets, signatures, (key) =>
        hmac('sha256', key, [`${time}.`, delivery.raw]),
      );
      if (matched === undefined) return refused('No signature fits.');
      return { valid: true, matchedSecret: matched, timestamp: fresh.timestamp };
    },
    identify: (_delivery, data) => ({ id: field(data, 'id'), type: field(data, 'type') }),
  };
}
