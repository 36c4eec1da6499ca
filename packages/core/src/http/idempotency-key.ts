// Owns the grammar of the Idempotency-Key header: an RFC 8941 string, or the bare token that most clients send.
// Never hashes or stores a key.

export type KeyFormat = 'lenient' | 'strict';

export type ParsedKey =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'invalid'; readonly detail: string };

const MAX_LENGTH = 255;
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"[ \t]*(.*)$/;
const BARE_ITEM =
  '(?:"(?:[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]|\\\\["\\\\])*"|[A-Za-z*][!#$%&\'*+\\-.^_`|~0-9A-Za-z:/]*|-?(?:[0-9]{1,12}\\.[0-9]{1,3}|[0-9]{1,15})|:[A-Za-z0-9+/=]*:|\\?[01])';
const PARAMETERS = new RegExp(`^(?:[ \\t]*;[ ]*[a-z*][a-z0-9_\\-.*]*(?:=${BARE_ITEM})?)*[ \\t]*$`);
// Visible ASCII, but nothing that has a meaning of its own in a structured field.
const TOKEN = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/;

/**
 * Reads the values of the header, one per line the client sent. `"k"`, `"k";p=1` and `k` are the same key.
 *
 * @example
 * parseIdempotencyKey(['"8e03978e"'], 'lenient'); // { kind: 'key', key: '8e03978e' }
 */
export function parseIdempotencyKey(values: readonly string[], format: KeyFormat): ParsedKey {
  if (values.length === 0) return { kind: 'missing' };
  if (values.length > 1) return invalid('The header came more than once.');
  const value = withoutSpaceAround(values[0] as string);
  if (value === '') return invalid('The key is empty.');

  let key: string;
  if (value.startsWith('"')) {
    const match = QUOTED.exec(value);
    if (match === null)
      return invalid(
        'The quoted string is not well-formed: visible ASCII, with \\" and \\\\ as the only escapes.',
      );
    if (!PARAMETERS.test(match[2] as string))
      return invalid('Something other than parameters follows the quoted string.');
    key = (match[1] as string).replace(/\\(["\\])/g, '$1');
  } else if (format === 'strict') {
    return invalid('The key must be a quoted string, such as "8e03978e-40d5-43dd-bc93-6894a57f9324".');
  } else if (!TOKEN.test(value)) {
    return invalid(
      'A key without quotes must be visible ASCII without spaces, commas, semicolons, quotes and backslashes.',
    );
  } else {
    key = value;
  }
  if (key.length === 0) return invalid('The key is empty.');
  if (key.length > MAX_LENGTH) return invalid(`The key is longer than ${MAX_LENGTH} characters.`);
  return { kind: 'key', key };
}

/** By hand: a regular expression looks at each run of spaces from each of its spaces, a second of work in one header. */
function withoutSpaceAround(text: string): string {
  const isSpace = (at: number): boolean => text[at] === ' ' || text[at] === '\t';
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(start)) start += 1;
  while (end > start && isSpace(end - 1)) end -= 1;
  return text.slice(start, end);
}

function invalid(detail: string): ParsedKey {
  return { kind: 'invalid', detail };
}
