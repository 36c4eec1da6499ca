// Owns the secrets of a webhook: several at once while they are rotated, each with a name that may be logged.
// Never shows a secret.
import { ConfigurationError } from '../../errors/index.ts';

/**
 * One secret, a list of them, or names with secrets. One that is undefined, as an environment variable may be, is an error
 * when the route is made.
 */
export type Secrets = Secret | readonly Secret[] | Readonly<Record<string, Secret>>;
type Secret = string | undefined;

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
  /** What a secret must be, for the error of one that `read` does not take. */
  form = 'it must be a text',
): NamedSecret<Key>[] {
  const entries: [string, unknown][] =
    typeof given === 'string' && given !== ''
      ? [['default', given]]
      : typeof given === 'object' && given !== null
        ? Object.entries(given as Record<string, unknown>)
        : [];
  if (entries.length === 0)
    throw new ConfigurationError(`${what} needs at least one secret; is an environment variable missing?`);
  return entries.map(([name, secret]) => {
    const fault = (text: string): ConfigurationError =>
      new ConfigurationError(`The secret ${JSON.stringify(name)} of ${what} ${text}`);
    if (secret === undefined || secret === null || secret === '')
      throw fault('is empty; is an environment variable missing?');
    if (typeof secret !== 'string') throw fault(`is no text, but a ${typeof secret}.`);
    if (secret.trim() !== secret) throw fault('has white space around it; was it read from a file?');
    const key = read(secret);
    if (key === undefined) throw fault(`is not well-formed: ${form}.`);
    return { name, key };
  });
}

/** Base64 as RFC 4648 has it, padded and canonical, so that bytes have one spelling; undefined for anything else. */
export function decodeBase64(text: string, alphabet: 'base64' | 'base64url' = 'base64'): Buffer | undefined {
  const bytes = Buffer.from(text, alphabet);
  return bytes.byteLength > 0 && bytes.toString(alphabet) === text ? bytes : undefined;
}
