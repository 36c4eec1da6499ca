// Owns the use of Standard Schema validators (zod, valibot, arktype and others).
// Never holds a schema of its own.
import type { StandardSchemaV1 } from '@standard-schema/spec';

export type Checked<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly StandardSchemaV1.Issue[] };

export function isSchema(given: unknown): given is StandardSchemaV1 {
  return (typeof given === 'object' || typeof given === 'function') && given !== null && '~standard' in given;
}

export async function check<T>(schema: StandardSchemaV1<unknown, T>, value: unknown): Promise<Checked<T>> {
  const result = await schema['~standard'].validate(value);
  return result.issues === undefined ? { value: result.value } : { issues: result.issues };
}

/** An issue as clients get it: a message and a plain path. */
export function plainIssue(issue: StandardSchemaV1.Issue): { message: string; path?: (string | number)[] } {
  if (issue.path === undefined) return { message: issue.message };
  const keys = issue.path.map((segment) => (typeof segment === 'object' ? segment.key : segment));
  return { message: issue.message, path: keys.map((key) => (typeof key === 'number' ? key : String(key))) };
}
