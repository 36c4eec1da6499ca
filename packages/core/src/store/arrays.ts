// Postgres array literals, built by hand: one pass over the values, the cheapest form to send many rows in one
// statement. Values are text, integers, floats or booleans; null is NULL.

const SPECIAL = /["\\]/;
const SPECIALS = /["\\]/g;

/** `{"a","b",NULL}` */
export function textArray(values: readonly (string | null)[]): string {
  if (values.length === 0) return '{}';
  let text = '{';
  for (let i = 0; i < values.length; i++) {
    if (i > 0) text += ',';
    const value = values[i] as string | null;
    if (value === null) text += 'NULL';
    else if (SPECIAL.test(value)) text += `"${value.replace(SPECIALS, '\\$&')}"`;
    else text += `"${value}"`;
  }
  return `${text}}`;
}

/** `{1,2,NULL}`, also for floats and booleans. */
export function plainArray(values: readonly (number | boolean | null)[]): string {
  if (values.length === 0) return '{}';
  let text = '{';
  for (let i = 0; i < values.length; i++) {
    if (i > 0) text += ',';
    const value = values[i] as number | boolean | null;
    text += value === null ? 'NULL' : value;
  }
  return `${text}}`;
}
