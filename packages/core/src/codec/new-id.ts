// Ids that nobody chose, of workflows and messages: UUIDs of version 7 (RFC 9562, section 5.7), each above the last of its process.
// What is started together lies together in the indexes, of the steps too; random ids touch a page of their own each, and
// with millions of workflows most pages are not in memory. 62 random bits are left: as URLs they are not to be guessed.
// `crypto.randomUUID()` puts each together from 16 texts, a kilobyte of garbage; here many share one text.

import { randomBytes } from 'node:crypto';

const COUNTERS = Array.from({ length: 0x1000 }, (_, n) => n.toString(16).padStart(3, '0'));

let lastMs = 0;
let beginning = '';
let count = 0;

function enter(ms: number): void {
  lastMs = ms;
  const time = ms.toString(16).padStart(12, '0');
  beginning = `${time.slice(0, 8)}-${time.slice(8)}-7`;
  count = 0;
}

const PARTS = 512;
const PART_BYTES = 8;
let pool = '';
let used = 0;

/** `variant` and `rand_b`, each time new. */
function randomPart(): string {
  if (used === pool.length) {
    const bytes = randomBytes(PARTS * PART_BYTES);
    for (let i = 0; i < bytes.length; i += PART_BYTES) bytes[i] = ((bytes[i] as number) & 0x3f) | 0x80;
    pool = bytes.toString('hex');
    used = 0;
  }
  const part = `-${pool.slice(used, used + 4)}-${pool.slice(used + 4, used + 2 * PART_BYTES)}`;
  used += 2 * PART_BYTES;
  return part;
}

/** In `rand_a` a counter (RFC 9562, section 6.2, method 1); what it cannot hold goes on in the next millisecond. */
export function newID(): string {
  const now = Date.now();
  if (now > lastMs) enter(now);
  else if (++count === COUNTERS.length) enter(lastMs + 1);
  return beginning + COUNTERS[count] + randomPart();
}
