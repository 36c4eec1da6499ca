// Owns the list of signature schemes, and the two that need no file of their own.
import { ConfigurationError } from '../../errors/index.ts';
import { github } from './github.ts';
import { hmac } from './hmac.ts';
import { standardWebhooks } from './standard-webhooks.ts';
import { stripe } from './stripe.ts';
import {
  type Delivery,
  type EventIdentity,
  field,
  refused,
  type Verdict,
  type Verifier,
} from './verifier.ts';

export interface CustomOptions {
  /** True or a verdict; a throw counts as no. */
  readonly verify: (delivery: Delivery) => boolean | Verdict | Promise<boolean | Verdict>;
  readonly identify?: ((delivery: Delivery, data: unknown) => Partial<EventIdentity>) | undefined;
}

/** Your own check. */
function custom(given: CustomOptions | CustomOptions['verify']): Verifier {
  const options: CustomOptions = typeof given === 'function' ? { verify: given } : given;
  if (typeof options.verify !== 'function') throw new ConfigurationError('verify.custom needs a function.');
  return {
    async verify(delivery) {
      try {
        // Whatever JavaScript may return, only these are a yes.
        const said: unknown = await options.verify(delivery);
        if (said === true) return { valid: true };
        const verdict = said as Verdict | undefined | null;
        return typeof verdict?.valid === 'boolean' ? verdict : refused('The check said no.');
      } catch {
        return refused('The check failed.');
      }
    },
    identify: (delivery, data) => ({ ...identifyByBody(data), ...options.identify?.(delivery, data) }),
  };
}

/** Takes whatever comes, from whomever: for tests, and for senders that are known by other means. */
function unsafeNone(): Verifier {
  return { verify: () => ({ valid: true }), identify: (_delivery, data) => identifyByBody(data) };
}

function identifyByBody(data: unknown): EventIdentity {
  return { id: field(data, 'id'), type: field(data, 'type') };
}

/** How a webhook proves where it comes from. */
export const verify = { standardWebhooks, stripe, github, hmac, custom, unsafeNone } as const;
