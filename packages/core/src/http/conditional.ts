// Owns conditional GET (RFC 9110, sections 8.8.3 and 13.1.2): entity tags and If-None-Match.
// Never knows what the tag stands for.

const ENTITY_TAG = /^\s*(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)/;

/** Whether the client has this representation. `*` is any; tags are compared weakly, as the RFC asks of GET and HEAD. */
export function isNoneMatch(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  const opaque = tag.replace(/^W\//, '');
  for (let rest = header; rest !== '';) {
    const match = ENTITY_TAG.exec(rest);
    // An empty element is allowed in a list; the rest of a malformed one is not understood.
    if (match === null && !/^\s*,/.test(rest)) return false;
    if (match?.[1] === opaque) return true;
    rest = match === null ? rest.slice(rest.indexOf(',') + 1) : rest.slice(match[0].length);
  }
  return false;
}
