// Owns the SQL that reads events for readers outside: pages of what is new, for any number of workflows in one query.
// Never waits, and never writes.
import type { Database } from './database.ts';

/** Somebody follows this workflow, and has seen its events up to `after`. */
export interface Reading {
  readonly workflowID: string;
  readonly after: number;
}

interface FeedEvent {
  readonly seq: number;
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
  readonly events: readonly FeedEvent[];
  /** There may be further events. */
  readonly more: boolean;
}

/** A page ends with the event that makes it full, so that slow readers hold no more than that. */
const PAGE_EVENTS = 200;
const PAGE_BYTES = 64 * 1024;

interface PageRow {
  item: number;
  status: string | null;
  created_at: number | null;
  seq: number | null;
  key: string | null;
  value: string | null;
  found: number | null;
}

/** The status is read with the events in one snapshot: what a finished workflow set is among the events, or there are
 *  `more`. */
export async function readPages(
  database: Pick<Database, 'query'>,
  readings: readonly Reading[],
): Promise<Page[]> {
  const { rows } = await database.query<PageRow>(
    `SELECT u.item::integer AS item, w.status, trunc(pawl.epoch_ms(w.created_at)) AS created_at, e.seq, e.key, e.value,
      e.found::integer AS found
    FROM unnest($1::text[], $2::integer[]) WITH ORDINALITY u(id, after, item)
    LEFT JOIN pawl.workflow w ON w.id = u.id AND w.status <> 'RESERVED'
    LEFT JOIN LATERAL (
      SELECT p.* FROM (
        SELECT i.seq, i.key, i.value, count(*) OVER () AS found,
          coalesce(sum(octet_length(i.value)) OVER (ORDER BY i.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes
        FROM (SELECT * FROM pawl.event i WHERE i.workflow_id = u.id AND i.seq > u.after
              ORDER BY i.seq LIMIT ${PAGE_EVENTS + 1}) i) p
      WHERE p.bytes < ${PAGE_BYTES} ORDER BY p.seq LIMIT ${PAGE_EVENTS}
    ) e ON w.id IS NOT NULL
    ORDER BY u.item, e.seq`,
    [readings.map((reading) => reading.workflowID), readings.map((reading) => reading.after)],
  );
  const pages = readings.map(() => ({
    status: null as string | null,
    createdAt: null as number | null,
    events: [] as FeedEvent[],
    found: 0,
  }));
  for (const row of rows) {
    const page = pages[row.item - 1];
    if (page === undefined) continue;
    page.status = row.status;
    page.createdAt = row.created_at;
    page.found = row.found ?? 0;
    if (row.seq !== null && row.key !== null)
      page.events.push({ seq: row.seq, key: row.key, value: row.value });
  }
  return pages.map(({ status, createdAt, events, found }) => ({
    ...{ status, createdAt, events },
    more: found > events.length,
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
