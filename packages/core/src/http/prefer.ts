// Owns the Prefer header (RFC 7240): respond-async and wait.
// Never acts on it.

export interface Preferences {
  readonly respondAsync: boolean;
  /** Seconds; undefined when the client does not say. */
  readonly wait: number | undefined;
}

/** Reads `Prefer: respond-async, wait=5`. Unknown preferences and malformed values are ignored, as the RFC asks. */
export function parsePrefer(values: readonly string[]): Preferences {
  let respondAsync = false;
  let wait: number | undefined;
  for (const preference of values.join(',').split(',')) {
    const [given = ''] = preference.split(';', 1);
    const cut = given.indexOf('=');
    const name = (cut < 0 ? given : given.slice(0, cut)).trim().toLowerCase();
    const value = cut < 0 ? '' : given.slice(cut + 1).trim();
    if (name === 'respond-async') respondAsync = true;
    // The first one counts (RFC 7240, 2).
    if (name === 'wait' && wait === undefined && /^(\d{1,9}|"\d{1,9}")$/.test(value))
      wait = Number(value.replaceAll('"', ''));
  }
  return { respondAsync, wait };
}
