// Owns the Server-Sent Events of a workflow (WHATWG HTML, "Server-sent events"): each event that it sets, or each value of
// one of its streams, once and in order, under a durable id, then `end`. What there is to send is `app/follow.ts`'s affair.
import { follow } from '../app/follow.ts';
import { internals } from '../app/internals.ts';
import type { Pawl } from '../app/pawl.ts';
import { NotLaunchedError } from '../errors/index.ts';
import type { Feed, Page } from '../store/feeds.ts';
import { jsonText } from './json-value.ts';

/** Many proxies close a connection that is silent for 30 or 60 seconds. */
const HEARTBEAT_MS = 15_000;
const HEARTBEAT = ': heartbeat\n\n';
/** How long a browser waits before it connects again. */
const RETRY_MS = 1_000;

/** What a client has seen: everything up to `after`, and perhaps the `end` behind it. */
export interface Cursor {
  readonly after: number;
  readonly end: boolean;
}

export interface EventStreamOptions {
  readonly workflowID: string;
  /** Of the workflow that this client may see: another one under the same id is not its business. */
  readonly createdAt: number;
  readonly feed: Feed;
  /** Of the stream; '' for events. */
  readonly key: string;
  readonly after: number;
  /** The client is gone. */
  readonly closed: AbortSignal;
  readonly heartbeatMs?: number;
}

/** What is there after what a client has seen, without waiting for more. */
export function pageOf(
  pawl: Pawl,
  { feed, workflowID, key, after }: Pick<EventStreamOptions, 'feed' | 'workflowID' | 'key' | 'after'>,
): Promise<Page> {
  return internals(pawl).runtime.readPage(feed, { workflowID, key, after });
}

/**
 * The stream behind `after` until there is nothing more to come, this process stops, or the client is gone. A client
 * that comes back with the last id it saw, here or to another process, misses nothing and sees nothing twice.
 */
export async function* eventStream(pawl: Pawl, options: EventStreamOptions): AsyncGenerator<string> {
  const { feed, heartbeatMs = HEARTBEAT_MS } = options;
  const { core, codec } = internals(pawl);
  let { after } = options;
  try {
    yield `retry: ${RETRY_MS}\n\n`;
    for await (const batch of follow(core, 'readStream', { ...options, idleMs: heartbeatMs })) {
      let text = '';
      for (const { place, key, value } of batch?.entries ?? []) {
        text += message(String(place), feed === 'event' ? key : undefined, codec.decode(value));
        after = place;
      }
      if (batch?.end !== undefined) text += message(endID(feed, after), 'end', { status: batch.end });
      yield text === '' ? HEARTBEAT : text;
    }
  } catch (error) {
    // This process stops: the client finds another one.
    if (!(error instanceof NotLaunchedError)) throw error;
  }
}

/** One event. The name of one that the workflow set is its key, so that `addEventListener(key)` hears it. */
function message(id: string, event: string | undefined, value: unknown): string {
  const name = event === undefined ? '' : `event: ${event.replace(/[\r\n\0]/g, ' ')}\n`;
  const data = (jsonText(value) as string | undefined) ?? 'null';
  return `id: ${id}\n${name}data: ${data}\n\n`;
}

/** What comes before the first: events count from 1, offsets from 0. */
const BEFORE: Record<Feed, number> = { event: 0, stream: -1 };

/** The id of `end`, a browser that comes back with it is told to stay away; with how many there were, or their last seq. */
function endID(feed: Feed, after: number): string {
  return `end-${after - BEFORE[feed]}`;
}

/**
 * Where a stream goes on: the header of a reconnecting EventSource, or the query parameter `lastEventId` for a client
 * that cannot set it; an id that is none of ours begins at the beginning. In a stream also `offset`, the first value that
 * it wants: undefined if that is none.
 */
export function cursorOf(feed: Feed, header: string | undefined, query: URLSearchParams): Cursor | undefined {
  const offsets = feed === 'stream' ? query.getAll('offset') : [];
  if (offsets.length > 1 || offsets.some((offset) => !/^\d{1,9}$/.test(offset))) return undefined;
  const start = { after: offsets[0] === undefined ? BEFORE[feed] : Number(offsets[0]) - 1, end: false };
  const given = /^(end-)?(\d{1,9})$/.exec(header ?? query.get('lastEventId') ?? '');
  if (given === null) return start;
  const [, end, number] = given;
  return end === undefined
    ? { after: Number(number), end: false }
    : { after: Number(number) + BEFORE[feed], end: true };
}
