// Owns the SQL that follows workflows for readers outside: new events and the status, for any number of them in one query.
// Never waits, and never writes.
import type { Database } from './database.ts';

/** A workflow that somebody follows, and the last event that was seen of it. */
export interface Watch {
  readonly workflowID: string;
  readonly after: number;
}

interface FeedEvent {
  readonly seq: number;
  readonly key: string;
  /** Serialized; null is the stored undefined. */
  readonly value: string | null;
}

export interface WatchNews {
  /** By index of the watch; null when the workflow is gone. */
  readonly status: string | null;
  readonly events: readonly FeedEvent[];
}

/** At most so many events of one watch at a time, the oldest first. */
const LIMIT = 200;

interface NewsRow {
  item: number;
  status: string | null;
  seq: number | null;
  key: string | null;
  value: string | null;
}

/**
 * The status is read with the events in one snapshot: what a finished workflow set is among the events, or there are
 * more than fit.
 */
export async function readNews(
  database: Pick<Database, 'query'>,
  watches: readonly Watch[],
): Promise<WatchNews[]> {
  const { rows } = await database.query<NewsRow>(
    `SELECT u.item::integer AS item, w.status, e.seq, e.key, e.value
    FROM unnest($1::text[], $2::integer[]) WITH ORDINALITY u(id, after, item)
    LEFT JOIN pawl.workflow w ON w.id = u.id
    LEFT JOIN LATERAL (
      SELECT i.seq, i.key, i.value FROM pawl.event i
      WHERE i.workflow_id = u.id AND i.seq > u.after ORDER BY i.seq LIMIT ${LIMIT}
    ) e ON true
    ORDER BY u.item, e.seq`,
    [watches.map((watch) => watch.workflowID), watches.map((watch) => watch.after)],
  );
  const news = watches.map(() => ({ status: null as string | null, events: [] as FeedEvent[] }));
  for (const row of rows) {
    const entry = news[row.item - 1];
    if (entry === undefined) continue;
    entry.status = row.status;
    if (row.seq !== null && row.key !== null)
      entry.events.push({ seq: row.seq, key: row.key, value: row.value });
  }
  return news;
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
