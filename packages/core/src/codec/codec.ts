// Owns what the rest of Pawl sees of serialization: values and errors as the text of database columns.
// Never assumes JSON: an app may bring its own serializer.
import { inspect } from 'node:util';
import { SerializationError } from '../errors/index.ts';
import { DROPPED, describeThrown, type Keep, restoreThrown, type ThrownRecord } from './error-record.ts';
import { createErrorRegistry, type ErrorClass } from './error-registry.ts';
import { createSerializer, reasonOf, type Serializer } from './serializer.ts';

export interface Codec {
  readonly serializer: Serializer;
  /** Text of a value; null, the SQL NULL, for undefined. @throws SerializationError */
  encode(value: unknown): string | null;
  decode(text: string | null): unknown;
  /** The text together with the value that `decode` makes of it: what a live caller gets, so that it equals a replay. */
  roundTrip(value: unknown): { readonly text: string | null; readonly value: unknown };
  /** Text of whatever was thrown. Parts that cannot be stored are left out; recording an error does not fail. */
  encodeError(thrown: unknown): string;
  /** What was thrown, as an error of its own class where that is known here. */
  decodeError(text: string): unknown;
  /** Makes errors of this class come back as its instances, here and in every process that registers it. */
  registerError(errorClass: ErrorClass, name?: string): void;
}

export function createCodec(options: { serializer?: Serializer | undefined } = {}): Codec {
  const registry = createErrorRegistry();
  const serializer =
    options.serializer === undefined ? createSerializer(registry) : guard(options.serializer);

  const encode = (value: unknown) => (value === undefined ? null : serializer.stringify(value));
  const decode = (text: string | null) => (text === null ? undefined : serializer.parse(text));

  const keep: Keep = (value) => {
    try {
      serializer.stringify(value);
      return value;
    } catch {
      return DROPPED;
    }
  };

  /** Errors can be hostile: proxies, throwing getters. What cannot even be looked at is recorded as just that. */
  function describe(thrown: unknown): ThrownRecord | typeof DROPPED {
    try {
      return describeThrown(thrown, registry, keep);
    } catch {
      return DROPPED;
    }
  }

  return {
    serializer,
    encode,
    decode,

    roundTrip(value) {
      const text = encode(value);
      return { text, value: options.serializer === undefined && isImmutable(value) ? value : decode(text) };
    },

    encodeError(thrown) {
      const record = describe(thrown);
      return serializer.stringify(
        record === DROPPED ? describe(new Error(`Thrown: ${show(thrown)}`)) : record,
      );
    },

    decodeError: (text) => restoreThrown(serializer.parse(text) as ThrownRecord, registry),

    registerError: registry.register,
  };
}

/** With the default serializer these come back as themselves, so there is no need to read them again. */
function isImmutable(value: unknown): boolean {
  return value === null || (typeof value !== 'object' && typeof value !== 'function');
}

function show(thrown: unknown): string {
  try {
    return inspect(thrown, { depth: 1 });
  } catch {
    return 'a value that cannot be inspected';
  }
}

/** Postgres keeps neither NUL nor half a character in text. */
const NOT_STORABLE = /[\0\p{Surrogate}]/u;

/** Holds a foreign serializer to the contract: strings that Postgres can keep, and errors of our catalog. */
function guard(serializer: Serializer): Serializer {
  return {
    stringify(value) {
      let text: unknown;
      try {
        text = serializer.stringify(value);
      } catch (cause) {
        throw new SerializationError('$', `the configured serializer refused it: ${reasonOf(cause)}`, {
          cause,
        });
      }
      if (typeof text !== 'string') {
        throw new SerializationError('$', `the configured serializer returned ${typeof text}, not a string`);
      }
      if (NOT_STORABLE.test(text)) {
        throw new SerializationError(
          '$',
          'the text of the configured serializer has NUL or a lone surrogate in it',
        );
      }
      return text;
    },
    parse(text) {
      try {
        return serializer.parse(text);
      } catch (cause) {
        throw new SerializationError('$', `the configured serializer cannot parse it: ${reasonOf(cause)}`, {
          action: 'read',
          cause,
        });
      }
    },
  };
}
