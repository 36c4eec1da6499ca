// Which workflow rows somebody else holds: asked when a flush waited for a lock in vain, so that what needs them can
// wait outside. Waits for nothing itself.

import { textArray } from './arrays.ts';
import type { Lane } from './database.ts';

const HELD = `WITH free AS MATERIALIZED (
  SELECT w.id FROM pawl.workflow w WHERE w.id = ANY ($1::text::text[]) FOR NO KEY UPDATE SKIP LOCKED)
SELECT w.id FROM pawl.workflow w WHERE w.id = ANY ($1::text::text[]) AND w.id NOT IN (SELECT f.id FROM free f)`;

export async function heldRows(lane: Lane, ids: readonly string[]): Promise<Set<string>> {
  const rows = await lane.call(HELD, [textArray([...new Set(ids)])]);
  return new Set(rows.map(([id]) => id as string));
}
