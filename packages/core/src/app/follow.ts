// Owns following what a workflow says, its events or one of its streams, from a place that the reader knows until there
// is nothing more to come. Reads a page only when the one before was taken, so a slow reader costs a page of memory.
// Never polls: word comes from this process, from its one listening connection, or with its tick.

import { DatabaseUnavailableError, NotLaunchedError } from '../errors/index.ts';
import { classifyFault } from '../store/faults.ts';
import type { Feed, Page, Reading } from '../store/feeds.ts';
import { createBell } from './bell.ts';
import type { PawlCore } from './core.ts';

/** Before a database that was away is asked again. */
const RETRY_MS = 1_000;

export interface FollowOptions extends Reading {
  readonly feed: Feed;
  /** Of the workflow that is meant: another one under its id is not. Default: the first that has the id. */
  readonly createdAt?: number;
  /** The workflow was there: if it is not there now, it is gone, and not yet to come. */
  readonly known?: boolean;
  /** The reader is gone. */
  readonly closed: AbortSignal;
  /** A sign of life at least so often. Default: none. */
  readonly idleMs?: number;
}

export interface Batch {
  readonly entries: Page['entries'];
  /** Nothing comes after this: the stream was closed, or the state in which the workflow ended. */
  readonly end?: string;
}

/**
 * What is there after `after`, page by page, then what comes. Undefined is a sign of life.
 * @throws NotLaunchedError when this process stops
 */
export async function* follow(
  core: PawlCore,
  verb: string,
  options: FollowOptions,
): AsyncGenerator<Batch | undefined> {
  const { feed, workflowID, key, closed, idleMs } = options;
  let { after, createdAt } = options;
  const runtime = core.running(verb);
  const bell = createBell();
  let stopped = false;
  const follower = runtime.follow(workflowID, key, (stopping) => {
    stopped ||= stopping === true;
    bell.ring();
  });
  closed.addEventListener('abort', bell.ring);
  try {
    while (!closed.aborted) {
      if (stopped) throw new NotLaunchedError(verb, 'stopping');
      core.running(verb);
      const page = await runtime.readPage(feed, { workflowID, key, after }).catch(awayOnly);
      if (page === undefined) {
        // It goes on where it was when the database is back.
        yield undefined;
        await bell.wait(RETRY_MS);
        continue;
      }
      if (closed.aborted) return;
      const { status, entries, more } = page;
      const isThere = status !== null && (createdAt ?? page.createdAt) === page.createdAt;
      if (!isThere && createdAt === undefined && options.known !== true) follower.arm(null);
      else {
        if (isThere) createdAt = page.createdAt as number;
        const end = isThere ? endOf(page) : 'DELETED';
        const batch = isThere ? entries : [];
        after = batch.at(-1)?.place ?? after;
        if (end !== undefined) {
          yield { entries: batch, end };
          return;
        }
        if (batch.length > 0) yield { entries: batch };
        if (more) continue;
        follower.arm(after);
      }
      while (!(await bell.wait(idleMs))) yield undefined;
    }
  } finally {
    follower.end();
    closed.removeEventListener('abort', bell.ring);
  }
}

/** Whether, and how, there is nothing to come after this page. */
export function endOf({ status, ended, closed, more }: Page): string | undefined {
  if (more) return undefined;
  if (closed) return 'CLOSED';
  return ended || status === null ? (status ?? 'DELETED') : undefined;
}

function awayOnly(error: unknown): undefined {
  if (error instanceof DatabaseUnavailableError || classifyFault(error) === 'connection') return undefined;
  throw error;
}
