// The schema's name: checked, quoted, and put into SQL texts. Nothing else builds an identifier.

import { createHash } from 'node:crypto';
import { ConfigurationError } from '../errors/index.ts';

/** Quotes a Postgres identifier. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Any legal identifier: 1 to 63 bytes without NUL. Longer ones would be cut silently by the server. */
export function checkSchemaName(name: string): string {
  const bytes = typeof name === 'string' ? Buffer.byteLength(name) : 0;
  if (bytes === 0 || bytes > 63 || name.includes('\0') || /\p{Surrogate}/u.test(name)) {
    throw new ConfigurationError(
      `schema must be a Postgres identifier of 1 to 63 bytes without NUL, not ${JSON.stringify(name)}`,
    );
  }
  return name;
}

/** Replaces the prefix `pawl.` in a text by the quoted schema. Texts are constants, so the result is kept. */
export function createQualifier(schema: string): (text: string) => string {
  const prefix = `${quoteIdentifier(schema)}.`;
  const known = new Map<string, string>();
  return (text) => {
    let qualified = known.get(text);
    if (qualified === undefined) {
      qualified = text.replace(/\bpawl\./g, () => prefix);
      if (known.size < 500) known.set(text, qualified);
    }
    return qualified;
  };
}

/** A 32-bit number for the schema: the class of its advisory locks, and part of its channel names. */
export function schemaClass(schema: string): number {
  return createHash('sha256').update(schema).digest().readInt32BE(0);
}
