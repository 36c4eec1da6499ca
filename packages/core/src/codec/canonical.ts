// Owns one text per value, whatever the order of its keys: for comparing inputs, and for fingerprints.
// Never used for storing.
import { createErrorRegistry } from './error-registry.ts';
import { lower } from './lower.ts';
import type { Serializer } from './serializer.ts';
import { TAG } from './tags.ts';

const registry = createErrorRegistry();

/**
 * The value as JSON with sorted keys and without white space, in the spirit of RFC 8785. Equal texts mean equal values;
 * 0 and -0 count as equal, as RFC 8785 wants. Takes everything that the default serializer takes.
 *
 * @throws SerializationError for what cannot be serialized, also for JSON nested more than 1,000 levels deep
 */
export function canonicalJSON(value: unknown): string {
  return write(lower(value, { registry, keys: [], ancestors: [] }));
}

function write(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
  const properties = value as Record<string, unknown>;
  if (properties[TAG] === '-0') return '0';
  const members = Object.keys(properties)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${write(properties[key])}`);
  return `{${members.join(',')}}`;
}

/** Whether two stored inputs are the same value; null is the stored undefined. */
export function sameInput(a: string | null, b: string | null, serializer: Serializer): boolean {
  if (a === b) return true;
  if (a === null || b === null) return false;
  return canonicalJSON(serializer.parse(a)) === canonicalJSON(serializer.parse(b));
}
