// Owns the secrets of a webhook: several at once while they are rotated, each with a name that may be logged.
// Never shows a secret.
import { ConfigurationError } from '../../errors/index.ts';

/** One secret, a list of them, or names with secrets. */
export type Secrets = string | readonly string[] | Readonly<Record<string, string>>;

export interface NamedSecret<Key> {
  readonly name: string;
  readonly key: Key;
}

/**
 * Checks the secrets when the route is made, so that a missing environment variable shows at start-up and not as a
 * webhook that fails.
 */
export function namedSecrets<Key>(
  given: Secrets,
  what: string,
  read: (secret: string) => Key | undefined,
): NamedSecret<Key>[] {
  const entries: [string, unknown][] =
    typeof given === 'string'
      ? [['default', given]]
      : typeof given === 'object' && given !== null
        ? Object.entries(given as Record<string, unknown>)
        : [];
  if (entries.length === 0)
    throw new ConfigurationError(`${what} needs at least one secret; is an environment variable missing?`);
  return entries.map(([name, secret]) => {
    const key = typeof secret === 'string' && secret !== '' ? read(secret) : undefined;
    if (key === undefined) {
      throw new ConfigurationError(
        `The secret ${JSON.stringify(name)} of ${what} is ${secret === undefined || secret === '' ? 'empty; is an environment variable missing?' : 'not well-formed.'}`,
      );
    }
    return { name, key };
  });
}

/** Strict base64, standard or URL alphabet; undefined for anything else. */
export function decodeBase64(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.byteLength > 0 ? bytes : undefined;
}
