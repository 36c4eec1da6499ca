// Owns the Server-Sent Events of a workflow: each event that it sets, under a durable id, then `end`.
// One query at a time serves every stream of the process; it runs only while there is one.
import { internals } from '../app/internals.ts';
import type { Pawl } from '../app/pawl.ts';
import type { WorkflowState } from '../app/status.ts';
import { readNews, type WatchNews } from '../store/event-feed.ts';
import { jsonText } from './json-value.ts';
import { hasEnded } from './workflow-outcome.ts';

const POLL_MS = 250;
const HEARTBEAT_MS = 15_000;
const RETRY_MS = 1_000;

interface Follower {
  readonly workflowID: string;
  after: number;
  readonly hear: (news: WatchNews) => void;
}

/** Reads what is new for all followers of one Pawl instance. */
interface Feed {
  follow(follower: Follower): () => void;
}

const feeds = new WeakMap<Pawl, Feed>();

function feedOf(pawl: Pawl): Feed {
  let feed = feeds.get(pawl);
  if (feed === undefined) {
    feed = createFeed(pawl);
    feeds.set(pawl, feed);
  }
  return feed;
}

function createFeed(pawl: Pawl): Feed {
  const followers = new Set<Follower>();
  let timer: NodeJS.Timeout | undefined;

  async function poll(): Promise<void> {
    const asked = [...followers];
    try {
      const news = await readNews(internals(pawl).database, asked);
      for (const [index, follower] of asked.entries()) follower.hear(news[index] as WatchNews);
    } catch {
      // The database is away: the streams stay open and go on when it is back.
    }
    timer = followers.size > 0 ? setTimeout(() => void poll(), POLL_MS) : undefined;
    timer?.unref();
  }

  return {
    follow(follower) {
      followers.add(follower);
      timer ??= setTimeout(() => void poll(), 0);
      return () => void followers.delete(follower);
    },
  };
}

/**
 * The stream from after event `after` until the workflow has ended or the client is gone. A client that comes back with
 * the last id it saw misses nothing and sees nothing twice.
 */
export async function* eventStream(
  pawl: Pawl,
  workflowID: string,
  after: number,
  closed: AbortSignal,
): AsyncGenerator<string> {
  const { codec } = internals(pawl);
  const pending: string[] = [`retry: ${RETRY_MS}\n\n`];
  let ended = false;
  let wake: () => void = () => undefined;
  let spoke = performance.now();

  const follower: Follower = {
    workflowID,
    after,
    hear({ status, events }) {
      for (const { seq, key, value } of events) {
        follower.after = seq;
        pending.push(message(String(seq), key, codec.decode(value)));
      }
      if (events.length === 0 && (status === null || hasEnded(status as WorkflowState))) {
        pending.push(message(undefined, 'end', { status: status ?? 'DELETED' }));
        ended = true;
      }
      if (performance.now() - spoke > HEARTBEAT_MS) pending.push(': heartbeat\n\n');
      if (pending.length > 0) wake();
    },
  };
  const onClosed = (): void => wake();
  closed.addEventListener('abort', onClosed);
  const unfollow = feedOf(pawl).follow(follower);
  try {
    while (!closed.aborted) {
      if (pending.length > 0) {
        spoke = performance.now();
        yield pending.splice(0).join('');
      }
      if (pending.length > 0) continue;
      if (ended || closed.aborted) return;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    unfollow();
    closed.removeEventListener('abort', onClosed);
  }
}

/** One event; the key is the event's name, so that `addEventListener(key)` hears it. */
function message(id: string | undefined, event: string, value: unknown): string {
  const name = event.replace(/[\r\n\0]/g, ' ');
  const data = (jsonText(value) as string | undefined) ?? 'null';
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${data}\n\n`;
}

/** Where a stream goes on: the header of a reconnecting EventSource, or a query parameter for the first connection. */
export function lastEventID(header: string | undefined, query: URLSearchParams): number {
  const given = Number(header ?? query.get('lastEventId') ?? Number.NaN);
  return Number.isInteger(given) && given >= 0 && given < 2 ** 31 ? given : -1;
}
