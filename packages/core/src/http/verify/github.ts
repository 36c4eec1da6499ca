// Owns GitHub's scheme: `X-Hub-Signature-256`, HMAC-SHA256 over the body. The older SHA-1 header is never looked at.
import { namedSecrets, type Secrets } from './secrets.ts';
import { hmac, matchingSecret } from './signature.ts';
import { header, refused, type Verifier } from './verifier.ts';

export interface GithubOptions {
  readonly secrets: Secrets;
}

export function github(options: GithubOptions): Verifier {
  const secrets = namedSecrets(options.secrets, 'verify.github', (secret) => secret);
  return {
    verify(delivery) {
      const given = /^sha256=([0-9a-f]{64})$/i.exec(header(delivery, 'x-hub-signature-256') ?? '')?.[1];
      if (given === undefined)
        return refused('The header X-Hub-Signature-256 is missing or not well-formed.');
      const matched = matchingSecret(secrets, [Buffer.from(given, 'hex')], (key) =>
        hmac('sha256', key, [delivery.raw]),
      );
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
