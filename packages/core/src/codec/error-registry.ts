// Owns which error classes come back as themselves: the built-in ones, Pawl's, and those that the app registers.
// Never constructs an error of a registered class; it knows prototypes only.
import { ConfigurationError, errorCatalog, PawlError } from '../errors/index.ts';

/** A class of errors, abstract or not, whatever its constructor takes. */
export type ErrorClass = abstract new (...args: never[]) => Error;

export interface ErrorRegistry {
  /**
   * Makes `instanceof errorClass` true for errors that were stored and read again. Names must be unique; give one
   * where the class has none, or where a bundler renames classes.
   */
  register(errorClass: ErrorClass, name?: string): void;
  /** The key of the nearest known class of an error; undefined where that is plain `Error`. */
  keyOf(error: object): string | undefined;
  /** The prototype behind a key of `keyOf`, also from another process; undefined where nobody registered it here. */
  prototypeOf(key: string): object | undefined;
}

export const DOM_EXCEPTION = 'DOMException';

const BUILT_IN: readonly ErrorClass[] = [
  AggregateError,
  DOMException,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
];

/** Built-in classes are keyed by name, Pawl's as `pawl:Name`, the app's as `app:Name`: an app may have a TimeoutError too. */
export function createErrorRegistry(): ErrorRegistry {
  const keys = new Map<object, string>();
  const prototypes = new Map<string, object>();

  function add(key: string, prototype: object): void {
    keys.set(prototype, key);
    prototypes.set(key, prototype);
  }

  for (const errorClass of BUILT_IN) add(errorClass.name, errorClass.prototype);
  add('pawl:PawlError', PawlError.prototype);
  for (const [name, errorClass] of Object.entries(errorCatalog)) add(`pawl:${name}`, errorClass.prototype);

  return {
    register(errorClass, name = errorClass.name) {
      if (typeof errorClass !== 'function' || !(errorClass.prototype instanceof Error)) {
        throw new ConfigurationError('registerError() takes a class that extends Error.');
      }
      if (name === '') {
        throw new ConfigurationError(
          'registerError() got a class without a name. Give the class a name, or pass one.',
        );
      }
      const known = keys.get(errorClass.prototype);
      if (known === `app:${name}`) return;
      if (known !== undefined) {
        throw new ConfigurationError(`registerError(): the class ${name} is known already, as ${known}.`);
      }
      if (prototypes.has(`app:${name}`)) {
        throw new ConfigurationError(
          `registerError(): another class is registered as ${JSON.stringify(name)}. Pass a second argument to name this one.`,
        );
      }
      add(`app:${name}`, errorClass.prototype);
    },

    keyOf(error) {
      let prototype: unknown = Object.getPrototypeOf(error);
      while (typeof prototype === 'object' && prototype !== null) {
        const key = keys.get(prototype);
        if (key !== undefined) return key;
        prototype = Object.getPrototypeOf(prototype);
      }
      return undefined;
    },

    prototypeOf: (key) => prototypes.get(key),
  };
}
