// Owns how several values become one hash or one id. Length prefixes keep ("ab", "c") and ("a", "bc") apart.
// Never knows where the values come from.
import { hash } from 'node:crypto';

/** SHA-256 over the values, each with its length in bytes before it; base64url, 43 characters. */
export function digest(parts: readonly (string | Uint8Array)[]): string {
  let text = '';
  const chunks: Uint8Array[] = [];
  for (const part of parts) {
    if (typeof part === 'string') {
      text += `${Buffer.byteLength(part)}:${part}`;
    } else {
      chunks.push(Buffer.from(`${text}${part.byteLength}:`), part);
      text = '';
    }
  }
  // In one call: a hash object that is fed costs more than the hashing.
  const whole = chunks.length === 0 ? text : Buffer.concat([...chunks, Buffer.from(text)]);
  return hash('sha256', whole, 'base64url');
}

/** What stands for a key in the database. The key cannot be had back from it. */
export function requestID(request: { scope: string; method: string; path: string; key: string }): string {
  return digest(['request', request.scope, request.method, request.path, request.key]);
}

/** The id of the workflow that a key starts (http_sweep makes it too); `generation` names the life of the key after its last retention. */
export function derivedWorkflowID(id: string, generation: number): string {
  return `http-${id}-${generation}`;
}
