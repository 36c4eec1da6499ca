// Owns errors as plain data and back: name, message, stack, cause, own properties, and the class where it is known.
// Never fails to describe an error, never runs an app's constructor, never decides how the data becomes text.
import { types } from 'node:util';
import { DOM_EXCEPTION, type ErrorRegistry } from './error-registry.ts';
import { setOwn } from './own-property.ts';

/** An error as data. Whatever is absent was absent, could not be stored, or would have closed a cycle. */
export interface ErrorRecord {
  /** Key of the registry; absent for plain Error and for classes that nobody registered. */
  class?: string;
  name: string;
  message: string;
  stack?: string;
  cause?: ThrownRecord;
  /** Of AggregateError, and of any error with a list of that name. */
  errors?: ThrownRecord[];
  /** Own enumerable properties. */
  properties?: Record<string, unknown>;
}

/** What was thrown: an error, or any other value that JavaScript lets one throw. */
export type ThrownRecord = { error: ErrorRecord } | { value?: unknown };

/** Says what is to be kept of a value: itself, or another form of it; `DROPPED` if it cannot be stored. */
export type Keep = (value: unknown, key: string) => unknown;
export const DROPPED: unique symbol = Symbol('dropped');

const MAX_NESTED_ERRORS = 50;
const OWN_FIELDS: ReadonlySet<string> = new Set(['message', 'stack', 'cause', 'errors']);

/** Also true for errors of another realm (a `vm` context, as some test runners use). */
export function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}

/** @param within the errors that are being described already: one of them again would be a cycle. */
export function describeThrown(
  thrown: unknown,
  registry: ErrorRegistry,
  keep: Keep,
  within: readonly object[] = [],
): ThrownRecord | typeof DROPPED {
  if (isError(thrown)) {
    if (within.includes(thrown) || within.length >= MAX_NESTED_ERRORS) return DROPPED;
    return { error: describeError(thrown, registry, keep, within) };
  }
  if (thrown === undefined) return {};
  const value = keep(thrown, 'cause');
  return value === DROPPED ? DROPPED : { value };
}

export function describeError(
  error: Error,
  registry: ErrorRegistry,
  keep: Keep,
  within: readonly object[] = [],
): ErrorRecord {
  const nested = (thrown: unknown) => describeThrown(thrown, registry, keep, [...within, error]);
  const record: ErrorRecord = {
    name: text(read(error, 'name'), 'Error'),
    message: text(read(error, 'message'), ''),
  };

  const key = registry.keyOf(error);
  if (key !== undefined) record.class = key;

  const stack = read(error, 'stack');
  if (typeof stack === 'string') record.stack = stack;

  if (Object.hasOwn(error, 'cause')) {
    const cause = nested(read(error, 'cause'));
    if (cause !== DROPPED) record.cause = cause;
  }
  const errors = read(error, 'errors');
  if (Array.isArray(errors)) record.errors = errors.map(nested).filter((each) => each !== DROPPED);

  const properties: Record<string, unknown> = {};
  let some = false;
  for (const name of Object.keys(error)) {
    if (OWN_FIELDS.has(name) && (name !== 'errors' || record.errors !== undefined)) continue;
    const value = keepProperty(error, name, keep, within);
    if (value === DROPPED) continue;
    setOwn(properties, name, value);
    some = true;
  }
  if (some) record.properties = properties;
  return record;
}

/** A property that cannot be read is as good as one that cannot be stored; one that is undefined as good as none. */
function keepProperty(error: Error, name: string, keep: Keep, within: readonly object[]): unknown {
  try {
    const value: unknown = Reflect.get(error, name);
    if (value === undefined || value === error || within.includes(value as object)) return DROPPED;
    return keep(value, name);
  } catch {
    return DROPPED;
  }
}

function read(error: Error, name: string): unknown {
  try {
    return Reflect.get(error, name);
  } catch {
    return undefined;
  }
}

function text(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}

/** @param record what was parsed; damaged text must not make matters worse */
export function restoreThrown(record: ThrownRecord, registry: ErrorRegistry): unknown {
  if (typeof record !== 'object' || record === null) return record;
  return 'error' in record ? restoreError(record.error, registry) : record.value;
}

/** A genuine Error whose prototype is then that of its class, so that consoles and debuggers treat it as one. */
export function restoreError(record: ErrorRecord, registry: ErrorRegistry): Error {
  const prototype = record.class === undefined ? undefined : registry.prototypeOf(record.class);
  let error: Error;
  if (record.class === DOM_EXCEPTION) {
    error = new DOMException(record.message, record.name);
  } else {
    error = new Error(record.message);
    if (prototype !== undefined) Object.setPrototypeOf(error, prototype);
    if (error.name !== record.name) define(error, 'name', record.name, false);
  }
  define(error, 'stack', record.stack ?? `${record.name}: ${record.message}`, false);
  if (record.cause !== undefined) define(error, 'cause', restoreThrown(record.cause, registry), false);
  if (record.errors !== undefined) {
    const errors = record.errors.map((each) => restoreThrown(each, registry));
    define(error, 'errors', errors, !(error instanceof AggregateError));
  }
  for (const [name, value] of Object.entries(record.properties ?? {})) define(error, name, value, true);
  return error;
}

function define(error: Error, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(error, name, { value, enumerable, configurable: true, writable: true });
}
