// Owns the default serializer: values to text and back. Plain JSON stays plain JSON, readable in psql.
// Never touches the database, never knows what the value is for.
import { SerializationError } from '../errors/index.ts';
import { createErrorRegistry, type ErrorRegistry } from './error-registry.ts';
import { lower, type Walk } from './lower.ts';
import { formatPath } from './path.ts';
import { isPlainJSON } from './plain-json.ts';
import { revive } from './revive.ts';
import { TAG_IN_TEXT } from './tags.ts';

/**
 * How values become the text that the database keeps. Bring your own through `serializer` in the config; it must give
 * back what it was given, in every process that runs the same workflows, and its texts must not contain NUL.
 *
 * @example
 * import superjson from 'superjson';
 * new Pawl({ serializer: superjson });
 */
export interface Serializer {
  /** @throws whatever says that the value cannot be stored; callers see it as the cause of a SerializationError. */
  stringify(value: unknown): string;
  parse(text: string): unknown;
}

/**
 * JSON plus Date, Map, Set, BigInt, undefined, NaN, ±Infinity, -0, Error, RegExp, URL, ArrayBuffer and typed arrays.
 * Objects of classes come back as plain objects with the same own properties (or as what their `toJSON` gives).
 *
 * @throws SerializationError with the path to what cannot be stored; nothing else, whatever the value does
 */
export function createSerializer(registry: ErrorRegistry = createErrorRegistry()): Serializer {
  return {
    stringify(value) {
      const walk: Walk = { registry, keys: [], ancestors: [] };
      try {
        return JSON.stringify(isPlainJSON(value) ? value : lower(value, walk));
      } catch (error) {
        throw error instanceof SerializationError
          ? error
          : new SerializationError(formatPath(walk.keys), `reading it failed: ${reasonOf(error)}`, {
              cause: error,
            });
      }
    },

    parse(text) {
      try {
        const value: unknown = JSON.parse(text);
        return text.includes(TAG_IN_TEXT) ? revive(value, registry) : value;
      } catch (error) {
        throw error instanceof SerializationError
          ? error
          : new SerializationError('$', `its text is damaged: ${reasonOf(error)}`, {
              action: 'read',
              cause: error,
            });
      }
    },
  };
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
