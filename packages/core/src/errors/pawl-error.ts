// Owns the shape that every error of the catalog shares: code, retryable, docs.
// Never knows a single concrete error; those live beside it, grouped by what went wrong.

/** The part of the manual that explains one error code. */
const DOCS = 'https://pawl.dev/errors#';

/**
 * The root of everything that Pawl itself throws. Errors of your own functions pass through unchanged.
 *
 * @example
 * try {
 *   await handle.getResult({ timeoutSeconds: 5 });
 * } catch (error) {
 *   if (error instanceof PawlError && error.retryable) return retryLater();
 *   throw error;
 * }
 */
export abstract class PawlError extends Error {
  static {
    named(this, 'PawlError');
  }

  /** Stable identifier for programs, logs and HTTP problems. Messages may be reworded, codes never. */
  abstract readonly code: `PAWL_${string}`;

  /** True when the same call can succeed later, without any change of code or input. */
  abstract readonly retryable: boolean;

  /** Where the manual explains this error and what to do about it. */
  get docs(): string {
    return DOCS + this.code;
  }
}

/**
 * Gives an error class its `name` on the prototype, once per class: it is right in the first line of `stack`, it
 * survives minifiers, which rename classes, and it is no property of each instance.
 */
export function named(errorClass: { readonly prototype: Error }, name: string): void {
  Object.defineProperty(errorClass.prototype, 'name', { value: name, configurable: true, writable: true });
}
