// Owns GitHub's scheme: `X-Hub-Signature-256`, HMAC-SHA256 over the body
// (docs.github.com/webhooks, "Validating webhook deliveries"). The older SHA-1 header is never looked at.
import { namedSecrets, type Secrets } from './secrets.ts';
import { decodeHex, hmac, matchingSecret } from './signature.ts';
import { header, refused, type Verifier } from './verifier.ts';

export interface GithubOptions {
  /** The webhook's secrets, any text. */
  readonly secrets: Secrets;
}

const PREFIX = 'sha256=';

/**
 * Event id and type are `X-GitHub-Delivery` and `X-GitHub-Event`. GitHub signs neither of them, and no time: the
 * signature proves the body alone.
 *
 * @throws ConfigurationError for secrets that cannot work
 * @example
 * http.webhook({ name: 'github', verify: verify.github({ secrets: process.env.GITHUB_SECRET }), route })
 */
export function github(options: GithubOptions): Verifier {
  const secrets = namedSecrets(options.secrets, 'verify.github', (secret) => secret);
  return {
    verify(delivery) {
      const given = header(delivery, 'x-hub-signature-256') ?? '';
      const signature = given.startsWith(PREFIX) ? decodeHex(given.slice(PREFIX.length)) : undefined;
      if (signature === undefined)
        return refused('The header X-Hub-Signature-256 is missing or not well-formed.');
      const matched = matchingSecret(secrets, [signature], (key) => hmac('sha256', key, [delivery.raw]));
      return matched === undefined
        ? refused('The signature does not fit.')
        : { valid: true, matchedSecret: matched };
    },
    identify: (delivery) => ({
      id: header(delivery, 'x-github-delivery'),
      type: header(delivery, 'x-github-event'),
    }),
  };
}
