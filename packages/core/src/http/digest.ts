// Owns how several values become one hash or one id. Length prefixes keep ("ab", "c") and ("a", "bc") apart.
// Never knows where the values come from.
import { createHash } from 'node:crypto';

/** SHA-256 over the values, each with its length in bytes before it; base64url, 43 characters. */
export function digest(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  // Texts in a row go in one call: each costs more than the hashing.
  let text = '';
  for (const part of parts) {
    if (typeof part === 'string') {
      text += `${Buffer.byteLength(part)}:${part}`;
    } else {
      hash.update(`${text}${part.byteLength}:`).update(part);
      text = '';
    }
  }
  return hash.update(text).digest('base64url');
}

/** What stands for a key in the database. The key cannot be had back from it. */
export function requestID(request: { scope: string; method: string; path: string; key: string }): string {
  return digest(['request', request.scope, request.method, request.path, request.key]);
}

/** The id of the workflow that a key starts (http_sweep makes it too); `generation` names the life of the key after its last retention. */
export function derivedWorkflowID(id: string, generation: number): string {
  return `http-${id}-${generation}`;
}
