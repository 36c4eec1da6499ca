// Owns the way back from parsed JSON to the value: wrappers of tags.ts become what they stand for.
// Never runs for texts without a wrapper, never runs code of the app. Works in place: the tree is ours.
import { SerializationError } from '../errors/index.ts';
import { type ErrorRecord, restoreError } from './error-record.ts';
import type { ErrorRegistry } from './error-registry.ts';
import { binaryViews, constants, TAG } from './tags.ts';

type Properties = Record<string, unknown>;

export function revive(value: unknown, registry: ErrorRegistry): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return reviveItems(value, registry);
  const tag = (value as Properties)[TAG];
  if (tag === undefined) return reviveProperties(value as Properties, registry);
  return untag(String(tag), (value as Properties)['v'], registry);
}

function reviveItems(items: unknown[], registry: ErrorRegistry): unknown[] {
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    if (typeof item === 'object' && item !== null) items[i] = revive(item, registry);
  }
  return items;
}

/** Assigning is safe, also for `__proto__`: JSON.parse made every key an own property. */
function reviveProperties(properties: Properties, registry: ErrorRegistry): Properties {
  for (const key of Object.keys(properties)) {
    const value = properties[key];
    if (typeof value === 'object' && value !== null) properties[key] = revive(value, registry);
  }
  return properties;
}

function untag(tag: string, v: unknown, registry: ErrorRegistry): unknown {
  switch (tag) {
    case 'Object':
      return reviveProperties(v as Properties, registry);
    case 'Date':
      return new Date(v === null ? Number.NaN : (v as string));
    case 'Map':
      return new Map(reviveItems(v as unknown[], registry) as [unknown, unknown][]);
    case 'Set':
      return new Set(reviveItems(v as unknown[], registry));
    case 'BigInt':
      return BigInt(v as string);
    case 'RegExp':
      return new RegExp(...(v as [string, string]));
    case 'URL':
      return new URL(v as string);
    case 'Error':
      return restoreError(reviveProperties(v as Properties, registry) as unknown as ErrorRecord, registry);
    case 'ArrayBuffer':
      return bytes(v as string);
  }
  if (constants.has(tag)) return constants.get(tag);
  if (Object.hasOwn(binaryViews, tag))
    return new binaryViews[tag as keyof typeof binaryViews](bytes(v as string));
  throw new SerializationError('$', `it has a ${JSON.stringify(tag)}, which this version does not know`, {
    action: 'read',
  });
}

function bytes(base64: string): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = Buffer.from(base64, 'base64');
  return buffer.slice(byteOffset, byteOffset + byteLength);
}
