// Owns the stored form of what JSON has no word for: `{"$pawl":"Date","v":"2026-01-01T00:00:00.000Z"}`.
// Never walks values: lower.ts writes this form, revive.ts reads it.

/** The key that marks a wrapper. A user's object that has this key itself is wrapped with the tag `Object`. */
export const TAG = '$pawl';

/** Every text with a wrapper in it contains this; a string value never does, because its quotes are escaped. */
export const TAG_IN_TEXT = `"${TAG}":`;

/** A value that JSON cannot say, in a form that it can. */
export interface Tagged {
  readonly [TAG]: string;
  readonly v?: unknown;
}

export function tagged(tag: string, v?: unknown): Tagged {
  return v === undefined ? { [TAG]: tag } : { [TAG]: tag, v };
}

/** The tags of values that need nothing but their tag. */
export const constants: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['undefined', undefined],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['-0', -0],
]);

/** Containers nested deeper than this are refused: no stack of any reader is in danger, and no sane value is so deep. */
export const MAX_DEPTH = 1_000;

/** Binary views that are restored as what they were. A Buffer is stored as the Uint8Array that it is. */
export const binaryViews = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
} as const;
