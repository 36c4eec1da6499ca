// Owns how a place inside a value is written: `$.items[3].callback`.
// Never looks at values.

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const SHOWN_AT_EACH_END = 12;

/** The keys that lead from the root to a place, as text; very long ways are cut in the middle. */
export function formatPath(keys: readonly (string | number)[]): string {
  if (keys.length <= 2 * SHOWN_AT_EACH_END) return `$${keys.map(formatKey).join('')}`;
  const start = keys.slice(0, SHOWN_AT_EACH_END).map(formatKey).join('');
  const end = keys.slice(-SHOWN_AT_EACH_END).map(formatKey).join('');
  return `$${start} … ${end}`;
}

function formatKey(key: string | number): string {
  if (typeof key === 'number') return `[${key}]`;
  const shown = key.length > 100 ? `${key.slice(0, 100)}…` : key;
  return IDENTIFIER.test(shown) ? `.${shown}` : `[${JSON.stringify(shown)}]`;
}
