// Owns the way from any value to a tree that JSON.stringify writes without loss: wrappers of tags.ts replace what JSON
// has no word for. Never changes the value, never copies a part that is plain JSON already, never produces text.
import { EventEmitter } from 'node:events';
import { types } from 'node:util';
import { SerializationError } from '../errors/index.ts';
import { DROPPED, describeError, isError, type Keep } from './error-record.ts';
import type { ErrorRegistry } from './error-registry.ts';
import { setOwn } from './own-property.ts';
import { formatPath } from './path.ts';
import { isPlainNumber } from './plain-json.ts';
import { binaryViews, MAX_DEPTH, TAG, tagged } from './tags.ts';

/** Where a walk over a value is. Left as it is when the walk throws, so that `keys` leads to the culprit. */
export interface Walk {
  readonly registry: ErrorRegistry;
  readonly keys: (string | number)[];
  readonly ancestors: object[];
}

/** Looking for a cycle costs; a value that has one gets this deep soon enough. */
const CYCLE_CHECK_DEPTH = 16;

type Properties = Record<string, unknown>;
type ToJSON = (key: string) => unknown;

/** @throws SerializationError that names the path of the first part that cannot be stored. */
export function lower(value: unknown, walk: Walk): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return isPlainNumber(value) ? value : tagged(Object.is(value, -0) ? '-0' : String(value));
    case 'object':
      return value === null ? null : lowerObject(value, walk);
    case 'undefined':
      return tagged('undefined');
    case 'bigint':
      return tagged('BigInt', String(value));
    case 'function':
      return fail(walk, 'it is a function');
    case 'symbol':
      return fail(walk, 'it is a symbol');
  }
}

/** Keeps track of the way only where it may be needed: most parts are strings, numbers and booleans. */
function lowerPart(value: unknown, key: string | number, walk: Walk): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number' && isPlainNumber(value)) return value;
  walk.keys.push(key);
  const lowered = lower(value, walk);
  walk.keys.pop();
  return lowered;
}

function lowerObject(value: object, walk: Walk): unknown {
  enter(value, walk);
  const prototype: unknown = Object.getPrototypeOf(value);
  let lowered: unknown;
  if (prototype === Object.prototype || prototype === null)
    lowered = lowerProperties(value as Properties, walk);
  else if (prototype === Array.prototype) lowered = lowerItems(value as unknown[], walk);
  else lowered = lowerInstance(value, walk);
  walk.ancestors.pop();
  return lowered;
}

function enter(value: object, walk: Walk): void {
  const depth = walk.ancestors.push(value) - 1;
  if (depth < CYCLE_CHECK_DEPTH) return;
  const { ancestors, keys } = walk;
  if (ancestors.indexOf(value) < depth) {
    keys.length = Math.min(
      keys.length,
      ancestors.findIndex((each, i) => ancestors.indexOf(each) < i),
    );
    fail(walk, 'it contains itself');
  }
  if (depth >= MAX_DEPTH) fail(walk, `it is nested more than ${MAX_DEPTH} levels deep`);
}

/** Holes come back as undefined. */
function lowerItems(source: readonly unknown[], walk: Walk): unknown[] | readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let i = 0; i < source.length; i++) {
    const item = source[i];
    const lowered = lowerPart(item, i, walk);
    if (copy === undefined && lowered !== item) copy = source.slice(0, i);
    copy?.push(lowered);
  }
  return copy ?? source;
}

function lowerProperties(source: Properties, walk: Walk): unknown {
  const keys = Object.keys(source);
  let copy: Properties | undefined;
  let looksTagged = false;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    const value = source[key];
    if (key === TAG) looksTagged = true;
    if (key === 'toJSON' && typeof value === 'function') return lowerToJSON(source, value as ToJSON, walk);
    const lowered = lowerPart(value, key, walk);
    if (copy === undefined) {
      if (lowered === value) continue;
      copy = {};
      for (let j = 0; j < i; j++) setOwn(copy, keys[j] as string, source[keys[j] as string]);
    }
    setOwn(copy, key, lowered);
  }
  return looksTagged ? tagged('Object', copy ?? source) : (copy ?? source);
}

/** Anything with a prototype of its own. What we know by name comes first: Date, URL and Buffer have a toJSON as well. */
function lowerInstance(value: object, walk: Walk): unknown {
  if (isError(value)) return lowerError(value, walk);
  if (types.isDate(value)) return tagged('Date', Number.isNaN(value.getTime()) ? null : value.toISOString());
  if (types.isMap(value)) return tagged('Map', lowerItems([...value], walk));
  if (types.isSet(value)) return tagged('Set', lowerItems([...value], walk));
  if (types.isRegExp(value)) return tagged('RegExp', [value.source, value.flags]);
  if (value instanceof URL) return tagged('URL', value.href);
  if (types.isAnyArrayBuffer(value)) return tagged('ArrayBuffer', base64(value, 0, value.byteLength));
  if (types.isTypedArray(value) && value[Symbol.toStringTag] in binaryViews) {
    return tagged(value[Symbol.toStringTag], base64(value.buffer, value.byteOffset, value.byteLength));
  }
  if (types.isBoxedPrimitive(value)) return lower(value.valueOf(), walk);

  const {
    toJSON,
    then,
    [Symbol.toStringTag]: label,
  } = value as { toJSON?: unknown; then?: unknown; [Symbol.toStringTag]?: unknown };
  if (typeof toJSON === 'function') return lowerToJSON(value, toJSON as ToJSON, walk);
  if (typeof then === 'function') return fail(walk, 'it is a promise (did you forget await?)');
  if (value instanceof EventEmitter) return fail(walk, `it is a live ${value.constructor.name}, not data`);
  if (typeof label === 'string' && Object.keys(value).length === 0) {
    return fail(walk, `it is an object of class ${label}, which has no data of its own`);
  }
  return Array.isArray(value) ? lowerItems([...value], walk) : lowerProperties(value as Properties, walk);
}

function lowerToJSON(value: object, toJSON: ToJSON, walk: Walk): unknown {
  const result = toJSON.call(value, String(walk.keys.at(-1) ?? ''));
  return result === value ? fail(walk, 'its toJSON() returns the object itself') : lower(result, walk);
}

/** Leaves out what cannot be stored of an error, because an error must never hide behind another one. */
function lowerError(error: Error, walk: Walk): unknown {
  const { ancestors, keys } = walk;
  const within = ancestors.filter(isError);
  if (within.indexOf(error) < within.length - 1) return fail(walk, 'it contains itself');

  const keep: Keep = (value, key) => {
    if (key === TAG) return DROPPED;
    const [depth, length] = [ancestors.length, keys.length];
    try {
      return lowerPart(value, key, walk);
    } catch {
      return DROPPED;
    } finally {
      ancestors.length = depth;
      keys.length = length;
    }
  };
  return tagged('Error', describeError(error, walk.registry, keep, within.slice(0, -1)));
}

function base64(buffer: ArrayBufferLike, offset: number, length: number): string {
  return Buffer.from(buffer, offset, length).toString('base64');
}

function fail(walk: Walk, what: string): never {
  throw new SerializationError(formatPath(walk.keys), what);
}
