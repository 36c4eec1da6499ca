// The ids of workflows that nobody named: UUIDs of version 7 (RFC 9562, section 5.7), each above the last of its process.
// What is started together lies together in the indexes, of the steps too; random ids touch a page of their own each, and
// with millions of workflows most pages are not in memory. 62 random bits are left: as URLs they are not to be guessed.

import { randomUUID } from 'node:crypto';

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

/** In `rand_a` a counter (RFC 9562, section 6.2, method 1); what it cannot hold goes on in the next millisecond. */
export function newWorkflowID(): string {
  const now = Date.now();
  if (now > lastMs) enter(now);
  else if (++count === COUNTERS.length) enter(lastMs + 1);
  return beginning + COUNTERS[count] + randomUUID().slice(18);
}
