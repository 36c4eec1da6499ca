// Owns how a workflow's value becomes JSON for a client: what JSON has no form for takes the nearest one.
// Never used for storing: that is the codec's business.

/** JSON text; BigInt and Map, Set, bytes and errors take the form that a reader would expect. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === 'bigint') return part.toString();
    if (part instanceof Map) return Object.fromEntries(part as Map<string, unknown>);
    if (part instanceof Set) return [...(part as Set<unknown>)];
    if (part instanceof Error) return { name: part.name, message: part.message };
    return part;
  });
}
