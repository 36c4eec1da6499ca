// Attributes: plain JSON that workflows are labelled with and found by. The one payload that Postgres looks into.

import { ValidationError } from '../errors/index.ts';
import type { JsonValue } from './status.ts';

/** An escape of NUL or of half a character, not an escaped backslash before such letters: jsonb takes neither. */
const NOT_STORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i;

/** @throws ValidationError unless it is an object of JSON that jsonb can hold */
export function encodeAttributes(attributes: Record<string, JsonValue> | undefined): string | undefined {
  if (attributes === undefined) return undefined;
  let text: string | undefined;
  try {
    if (typeof attributes === 'object' && attributes !== null && !Array.isArray(attributes))
      text = JSON.stringify(attributes);
  } catch {
    // A BigInt or a cycle: said below.
  }
  if (text === undefined || NOT_STORABLE.test(text)) {
    throw new ValidationError(
      'attributes must be an object of plain JSON, whose texts have no NUL and no lone surrogates.',
    );
  }
  return text;
}
