// Owns how a value that was refused stands in the error: '2' must not look like 2.

export function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
