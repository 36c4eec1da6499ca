// Owns the Server-Sent Events of a workflow (WHATWG HTML, "Server-sent events"): each event that it sets, once and in
// order, under a durable id, then `end`. Reads a page only when the client has taken the one before, so a slow client
// costs a page of memory. Never polls: word comes from the one listening connection of the process, or its tick.
import { internals } from '../app/internals.ts';
import type { Pawl } from '../app/pawl.ts';
import type { WorkflowState } from '../app/status.ts';
import { DatabaseUnavailableError, NotLaunchedError } from '../errors/index.ts';
import { type Page, type Reading, readPages } from '../store/event-feed.ts';
import { classifyFault } from '../store/faults.ts';
import { createBell } from './bell.ts';
import { coalesce } from './coalesce.ts';
import { jsonText } from './json-value.ts';
import { hasEnded } from './workflow-outcome.ts';

/** Many proxies close a connection that is silent for 30 or 60 seconds. */
const HEARTBEAT_MS = 15_000;
const HEARTBEAT = ': heartbeat\n\n';
/** How long a browser waits before it connects again, and a stream before it asks a database again that was away. */
const RETRY_MS = 1_000;
/** A read holds at most so many pages. */
const PAGES_PER_READ = 32;

/** What a client has seen: events up to `after`, and perhaps the `end` behind them. */
export interface Cursor {
  readonly after: number;
  readonly end: boolean;
}

export interface EventStreamOptions {
  readonly workflowID: string;
  /** Of the workflow that this client may see: another one under the same id is not its business. */
  readonly createdAt: number;
  readonly after: number;
  /** The client is gone. */
  readonly closed: AbortSignal;
  readonly heartbeatMs?: number;
}

type ReadPage = (reading: Reading) => Promise<Page>;

const readers = new WeakMap<Pawl, ReadPage>();

/** One page of a workflow's events; what several streams ask for in the meantime goes with one query. */
export function pageOf(pawl: Pawl, reading: Reading): Promise<Page> {
  let read = readers.get(pawl);
  if (read === undefined) {
    read = coalesce<Reading, Page>((readings) => readPages(internals(pawl).database, readings), {
      maxItems: PAGES_PER_READ,
      maxInFlight: 2,
      mayBeOneItem: () => false,
    });
    readers.set(pawl, read);
  }
  return read(reading);
}

/**
 * The stream from after event `after` until the workflow has ended, this process stops, or the client is gone. A client
 * that comes back with the last id it saw, here or to another process, misses nothing and sees nothing twice.
 */
export async function* eventStream(pawl: Pawl, options: EventStreamOptions): AsyncGenerator<string> {
  const { workflowID, createdAt, closed, heartbeatMs = HEARTBEAT_MS } = options;
  const { codec, runtime } = internals(pawl);
  let { after } = options;
  const bell = createBell();
  closed.addEventListener('abort', bell.ring);
  const follower = runtime.follow(workflowID, bell.ring);
  try {
    yield `retry: ${RETRY_MS}\n\n`;
    while (!closed.aborted) {
      const page = await pageOf(pawl, { workflowID, after }).catch(awayOnly);
      if (closed.aborted) return;
      if (page === undefined) {
        // The database is away; the stream goes on where it was when it is back.
        yield HEARTBEAT;
        await bell.wait(RETRY_MS);
        continue;
      }
      const status = page.createdAt === createdAt ? page.status : null;
      let text = '';
      for (const { seq, key, value } of status === null ? [] : page.events) {
        text += message(String(seq), key, codec.decode(value));
        after = seq;
      }
      const over = status === null || (hasEnded(status as WorkflowState) && !page.more);
      if (over) text += message(endID(after), 'end', { status: status ?? 'DELETED' });
      if (text !== '') yield text;
      if (over) return;
      if (page.more) continue;
      follower.arm(after);
      while (!(await bell.wait(heartbeatMs))) yield HEARTBEAT;
    }
  } catch (error) {
    // This process stops: the client finds another one.
    if (!(error instanceof NotLaunchedError)) throw error;
  } finally {
    follower.end();
    closed.removeEventListener('abort', bell.ring);
  }
}

function awayOnly(error: unknown): undefined {
  if (error instanceof DatabaseUnavailableError || classifyFault(error) === 'connection') return undefined;
  throw error;
}

/** One event; the key is the event's name, so that `addEventListener(key)` hears it. */
function message(id: string, event: string, value: unknown): string {
  const name = event.replace(/[\r\n\0]/g, ' ');
  const data = (jsonText(value) as string | undefined) ?? 'null';
  return `id: ${id}\nevent: ${name}\ndata: ${data}\n\n`;
}

/** The id of `end`: a browser that comes back with it is told to stay away. */
function endID(after: number): string {
  return `end-${after}`;
}

/**
 * Where a stream goes on: the header of a reconnecting EventSource, or the query parameter `lastEventId` for a client
 * that cannot set it. What is no id of ours begins at the beginning.
 */
export function cursorOf(header: string | undefined, query: URLSearchParams): Cursor {
  const given = /^(end-)?(\d{1,9})$/.exec(header ?? query.get('lastEventId') ?? '');
  return { after: Number(given?.[2] ?? 0), end: given?.[1] !== undefined };
}
