// Owns Stripe's scheme: `Stripe-Signature: t=…,v1=…`, HMAC-SHA256 over time and body.
import { namedSecrets, type Secrets } from './secrets.ts';
import { freshTime, hmac, matchingSecret, type TimeOptions, toleranceMs } from './signature.ts';
import { field, header, refused, type Verifier } from './verifier.ts';

export interface StripeOptions extends TimeOptions {
  /** The endpoint's signing secrets (`whsec_…`). */
  readonly secrets: Secrets;
}

export function stripe(options: StripeOptions): Verifier {
  const secrets = namedSecrets(options.secrets, 'verify.stripe', (secret) => secret);
  const tolerance = toleranceMs(options);

  return {
    verify(delivery) {
      const given = header(delivery, 'stripe-signature');
      if (!given) return refused('The header Stripe-Signature is missing.');
      const parts = given.split(',').map((part) => part.trim().split('=', 2) as [string, string | undefined]);
      const time = parts.find(([name]) => name === 't')?.[1] ?? '';
      const signatures = parts.flatMap(([name, value]) =>
        name === 'v1' && value ? [Buffer.from(value, 'hex')] : [],
      );
      const fresh = freshTime(time, delivery.now, tolerance);
      if ('refusal' in fresh) return fresh.refusal;
      const matched = matchingSecret(secrets, signatures, (key) =>
        hmac('sha256', key, [`${time}.`, delivery.raw]),
      );
      if (matched === undefined) return refused('No signature fits.');
      return { valid: true, matchedSecret: matched, timestamp: fresh.timestamp };
    },
    identify: (_delivery, data) => ({ id: field(data, 'id'), type: field(data, 'type') }),
  };
}
