// Owns the errors about values: what cannot be stored, what does not fit its schema; and about the place they go to.
// Never inspects the values itself.
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { named, PawlError } from './pawl-error.ts';
import { ofWorkflow } from './wording.ts';

/**
 * A value cannot be stored, because no other process could restore it. Nothing was written. `path` leads to the
 * offending part: `$` is the value itself.
 *
 * @example
 * await pawl.runStep(() => ({ items: [{ callback() {} }] }));
 * // SerializationError: Cannot store $.items[0].callback: it is a function. …
 */
export class SerializationError extends PawlError {
  static {
    named(this, 'SerializationError');
  }
  readonly code = 'PAWL_SERIALIZATION';
  readonly retryable = false;
  /** Where in the value, for example `$.items[3].callback`. */
  readonly path: string;
  /** What is wrong there, for example `it is a function`. */
  readonly what: string;

  /** @param context what the value is, for example `the output of step "charge"`, and of which workflow. */
  constructor(
    path: string,
    what: string,
    context: { action?: 'store' | 'read'; subject?: string; workflowID?: string; cause?: unknown } = {},
  ) {
    const { action = 'store', subject, workflowID, cause } = context;
    const place = subject === undefined ? path : `${subject}${ofWorkflow(workflowID)}: ${path}`;
    super(
      action === 'store'
        ? `Cannot store ${place}: ${what}. ` +
            `Use plain data (JSON, Date, Map, Set, BigInt, Error, Uint8Array), or configure a serializer.`
        : `Cannot read what was stored, ${place}: ${what}. ` +
            `Check that this process has the version and the serializer that wrote it.`,
      cause === undefined ? undefined : { cause },
    );
    this.path = path;
    this.what = what;
  }
}

/**
 * A value does not fit: an input its schema, a workflow id its rules. Nothing was written.
 *
 * @example
 * const checkout = pawl.registerWorkflow(body, { name: 'checkout', input: z.object({ sku: z.string() }) });
 * await checkout({ sku: 7 }); // rejects with ValidationError
 * // error.issues: [{ message: 'expected string', path: ['sku'] }]
 */
export class ValidationError extends PawlError {
  static {
    named(this, 'ValidationError');
  }
  readonly code = 'PAWL_VALIDATION';
  readonly retryable = false;
  /** The complaints, in the shape of Standard Schema: `{ message, path? }`. */
  readonly issues: readonly StandardSchemaV1.Issue[];

  constructor(message: string, issues: readonly StandardSchemaV1.Issue[] = [{ message }]) {
    super(message);
    this.issues = issues;
  }
}

/**
 * Postgres cannot be reached, or did not answer in time. Request paths fail with this within seconds; running
 * workflows wait and go on by themselves.
 *
 * @example
 * try {
 *   await pawl.startWorkflow(checkout, { workflowID })(order);
 * } catch (error) {
 *   if (error instanceof DatabaseUnavailableError) return res.status(503).set('Retry-After', '5').end();
 *   throw error;
 * }
 */
export class DatabaseUnavailableError extends PawlError {
  static {
    named(this, 'DatabaseUnavailableError');
  }
  readonly code = 'PAWL_DATABASE_UNAVAILABLE';
  readonly retryable = true;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
  }
}
