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
    const match = /^\s*([A-Za-z-]+)\s*(?:=\s*"?([^";]*)"?\s*)?(?:;.*)?$/.exec(preference);
    const name = match?.[1]?.toLowerCase();
    if (name === 'respond-async') respondAsync = true;
    if (name === 'wait' && wait === undefined && /^\d{1,9}$/.test(match?.[2] ?? ''))
      wait = Number(match?.[2]);
  }
  return { respondAsync, wait };
}
