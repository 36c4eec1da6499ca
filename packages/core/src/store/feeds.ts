// Owns the SQL that reads events and streams for readers outside: pages of what is new, for any number of workflows in
// one query. Never waits, and never writes.
import { plainArray, textArray } from './arrays.ts';
import type { Database } from './database.ts';

/** All events of a workflow, or one of its streams. */
export type Feed = 'event' | 'stream';

/** Somebody follows this, and has seen it up to `after`. */
export interface Reading {
  readonly workflowID: string;
  /** Of the stream; '' for events. */
  readonly key: string;
  readonly after: number;
}

interface Entry {
  /** The seq of an event, the offset of a value in its stream. */
  readonly place: number;
  readonly key: string;
  /** Serialized; null is the stored undefined. */
  readonly value: string | null;
}

export interface Page {
  /** null when the workflow is gone. */
  readonly status: string | null;
  /** Milliseconds of the epoch: a workflow that was deleted and started anew under its id is another one. */
  readonly createdAt: number | null;
  /** The oldest first. */
  readonly entries: readonly Entry[];
  /** There may be further ones. */
  readonly more: boolean;
  /** The workflow has ended. */
  readonly ended: boolean;
  /** It has closed the stream. */
  readonly closed: boolean;
}

/** A page ends with the entry that makes it full, so that slow readers hold no more than that. */
const PAGE_ENTRIES = 200;
const PAGE_BYTES = 64 * 1024;

interface PageRow {
  item: number;
  status: string | null;
  created_at: number | null;
  ended: boolean | null;
  closed: boolean | null;
  place: number | null;
  key: string;
  value: string | null;
  found: number | null;
}

const ENTRIES: Record<Feed, string> = {
  event: `SELECT i.seq AS place, i.key, i.value FROM pawl.event i
    WHERE i.workflow_id = u.id AND i.seq > u.after ORDER BY i.seq`,
  stream: `SELECT i.position AS place, i.key, i.value FROM pawl.stream i
    WHERE i.workflow_id = u.id AND i.key = u.key AND i.position > u.after AND NOT i.closed ORDER BY i.position`,
};
/** The end of a stream is its last row, wherever its reader is. Once a page, as a subquery would be once a row. */
const LAST: Record<Feed, string> = {
  event: `SELECT false AS closed`,
  stream: `SELECT i.closed FROM pawl.stream i WHERE i.workflow_id = u.id AND i.key = u.key
    ORDER BY i.position DESC LIMIT 1`,
};

/** The status is read with the entries in one snapshot: what a finished workflow has written is among the entries, or
 *  there are `more`. */
export async function readPages(
  database: Pick<Database, 'query'>,
  feed: Feed,
  readings: readonly Reading[],
): Promise<Page[]> {
  const { rows } = await database.query<PageRow>(
    `SELECT u.item::integer AS item, w.status, trunc(pawl.epoch_ms(w.created_at)) AS created_at,
      w.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') AS ended, l.closed,
      e.place, e.key, e.value, e.found::integer AS found
    FROM unnest($1::text::text[], $2::text::text[], $3::text::integer[]) WITH ORDINALITY u(id, key, after, item)
    LEFT JOIN pawl.workflow w ON w.id = u.id AND w.status <> 'RESERVED'
    LEFT JOIN LATERAL (${LAST[feed]}) l ON true
    LEFT JOIN LATERAL (
      SELECT p.* FROM (
        SELECT i.place, i.key, i.value, count(*) OVER () AS found,
          coalesce(sum(octet_length(i.value)) OVER (ORDER BY i.place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes
        FROM (${ENTRIES[feed]} LIMIT ${PAGE_ENTRIES + 1}) i) p
      WHERE p.bytes < ${PAGE_BYTES} ORDER BY p.place LIMIT ${PAGE_ENTRIES}
    ) e ON w.id IS NOT NULL
    ORDER BY u.item, e.place`,
    [
      textArray(readings.map((reading) => reading.workflowID)),
      textArray(readings.map((reading) => reading.key)),
      plainArray(readings.map((reading) => reading.after)),
    ],
  );
  const read = readings.map((): { row?: PageRow; entries: Entry[] } => ({ entries: [] }));
  for (const row of rows) {
    const page = read[row.item - 1];
    if (page === undefined) continue;
    page.row = row;
    const { place, key, value } = row;
    if (place !== null) page.entries.push({ place, key, value });
  }
  return read.map(({ row, entries }) => ({
    status: row?.status ?? null,
    createdAt: row?.created_at ?? null,
    entries,
    more: (row?.found ?? 0) > entries.length,
    ended: row?.ended ?? false,
    closed: row?.closed ?? false,
  }));
}

/** A value that was set under the key: the first one, or the latest. Undefined: none yet. */
export async function readEvent(
  database: Pick<Database, 'query'>,
  event: { readonly workflowID: string; readonly key: string },
  which: 'first' | 'latest',
): Promise<{ readonly value: string | null } | undefined> {
  const { rows } = await database.query<{ value: string | null }>(
    `SELECT e.value FROM pawl.event e WHERE e.workflow_id = $1 AND e.key = $2
    ORDER BY e.seq ${which === 'first' ? 'ASC' : 'DESC'} LIMIT 1`,
    [event.workflowID, event.key],
  );
  return rows[0];
}
