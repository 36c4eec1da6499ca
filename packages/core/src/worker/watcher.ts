// Callers outside workflows that wait for results and events of workflows, or follow their events and streams. Looks are
// gathered: one query for all that began to wait in a turn, one per tick for all that still do, one for what a hint
// names. A waiter row only for what runs elsewhere; who gives up takes it back.

import type { Lane } from '../store/database.ts';
import { unwatch, watch, type Watched, type WatchKind } from '../store/lifecycle.ts';

export interface Watcher {
  /** `found` is called once, when the result or (with a key) the event is there. */
  subscribe(workflowID: string, key: string | undefined, found: (watched: Watched) => void): Subscribed;
  /** `news` is called once for each `arm`, when there may be something new: an event, or with a key, of that stream. */
  follow(workflowID: string, key: string, news: () => void): Follower;
  /** Something happened to this workflow. */
  poke(workflowID: string): void;
  /** It set an event in this very process. */
  eventSet(workflowID: string): void;
  /** It wrote to a stream in this very process. */
  streamWritten(workflowID: string, key: string): void;
  /** It ended in this very process: nobody here needs to ask the database. */
  ended(workflowID: string, outcome: { status: string; output: string | null; error: string | null }): void;
  /** The fallback of the hints: looks for all, if there are any. */
  poll(): Promise<void>;
  /** How many wait here; for tests. */
  readonly size: number;
}

interface Subscribed {
  end: () => void;
  /** The database was asked at least once, whatever the answer. Stays open while it does not answer. */
  looked: Promise<void>;
}

export interface Follower {
  /** From now on, word of anything after this event or offset, or of the end. null: of the start. */
  arm(after: number | null): void;
  end(): void;
}

interface Subscription {
  readonly workflowID: string;
  readonly kind: WatchKind;
  readonly key: string;
  /** Of one that follows. */
  after: number | null;
  armed: boolean;
  readonly found: (watched?: Watched) => void;
  readonly asked: () => void;
}

type Row = Pick<Subscription, 'workflowID' | 'kind' | 'key'>;

/** After a look that failed: the connection is often back at once. */
const RETRY_MS = 50;

export function createWatcher(
  lane: Lane,
  executor: () => number,
  /** Runs in this process, which hears of its end and its events by itself. */
  isHere: (workflowID: string) => boolean,
  onError: (error: unknown) => void,
  /** A claim that is under way has begun what it got: what was just enqueued here runs here, as a rule. */
  claimed: () => Promise<void> = () => Promise.resolve(),
): Watcher {
  const byWorkflow = new Map<string, Set<Subscription>>();
  /** What may have a waiter row of ours. */
  const registered = new Map<string, Row>();
  let abandoned = new Map<string, Row>();
  let fresh = new Set<string>();
  let scheduled = false;
  let size = 0;

  const of = (workflowID: string): Subscription[] => [...(byWorkflow.get(workflowID) ?? [])];

  const look = async (ids: Iterable<string>, register: boolean): Promise<void> => {
    const results: string[] = [];
    const events = new Map<string, { workflowID: string; key: string }>();
    const followed = new Map<string, { workflowID: string; key: string; after: number | null }>();
    const asking: Subscription[] = [];
    for (const id of ids) {
      for (const subscription of byWorkflow.get(id) ?? []) {
        const { kind, key, after, armed } = subscription;
        if (!armed) continue;
        asking.push(subscription);
        if (register) registered.set(nameOf(subscription), subscription);
        if (kind === 's') followed.set(`${id}\0${key}\0${after}`, { workflowID: id, key, after });
        else if (kind === 'e') events.set(`${id}\0${key}`, { workflowID: id, key });
        else if (results.at(-1) !== id) results.push(id);
      }
    }
    if (asking.length === 0) return;
    const rows = await watch(lane, {
      executor: executor(),
      register,
      results,
      events: [...events.values()],
      followed: [...followed.values()],
    });
    for (const row of rows)
      for (const subscription of of(row.workflowID)) if (fits(subscription, row)) find(subscription, row);
    for (const { asked } of asking) asked();
  };

  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      const ids = [...fresh];
      fresh = new Set();
      takeBack();
      const lookForAll = async (): Promise<void> => {
        await claimed();
        const here: string[] = [];
        const elsewhere: string[] = [];
        for (const id of ids) {
          const subscriptions = of(id);
          if (!isHere(id)) elsewhere.push(id);
          else if (subscriptions.some(({ kind }) => kind !== 'r')) here.push(id);
          // Its end will be told.
          else for (const { asked } of subscriptions) asked();
        }
        await Promise.all([look(here, false), look(elsewhere, true)]);
      };
      lookForAll()
        .catch(() => new Promise((resolve) => setTimeout(resolve, RETRY_MS)).then(lookForAll))
        .catch(onError);
    });
  };

  const scheduleLook = (workflowID: string): void => {
    fresh.add(workflowID);
    schedule();
  };

  /** Deletes the waiters that nobody needs. Before the looks of this turn, on the same lane: they may need them again. */
  const takeBack = (): void => {
    const rows: Row[] = [];
    for (const [name, row] of abandoned) {
      if (of(row.workflowID).some((subscription) => nameOf(subscription) === name)) registered.set(name, row);
      else rows.push(row);
    }
    abandoned = new Map();
    // What stays behind is swept with the old waiters.
    if (rows.length > 0) unwatch(lane, executor(), rows).catch(onError);
  };

  const find = (subscription: Subscription, watched?: Watched): void => {
    if (subscription.kind === 's') subscription.armed = false;
    else {
      remove(subscription);
      // It fired, or was never there.
      registered.delete(nameOf(subscription));
    }
    subscription.found(watched);
  };

  /** Without a key: all. */
  const tellFollowers = (workflowID: string, about?: string): void => {
    for (const subscription of of(workflowID)) {
      const { kind, key, armed } = subscription;
      if (kind === 's' && armed && (about ?? key) === key) find(subscription);
    }
  };

  const add = (subscription: Subscription): void => {
    const set = byWorkflow.get(subscription.workflowID);
    if (set === undefined) byWorkflow.set(subscription.workflowID, new Set([subscription]));
    else set.add(subscription);
    size++;
  };

  const remove = (subscription: Subscription): void => {
    const set = byWorkflow.get(subscription.workflowID);
    if (set?.delete(subscription)) size--;
    if (set?.size === 0) byWorkflow.delete(subscription.workflowID);
  };

  const giveUp = (subscription: Subscription): void => {
    remove(subscription);
    const name = nameOf(subscription);
    const row = registered.get(name);
    if (row === undefined) return;
    registered.delete(name);
    abandoned.set(name, row);
    schedule();
  };

  return {
    subscribe: (workflowID, key, found) => {
      let asked = () => {};
      const looked = new Promise<void>((resolve) => (asked = resolve));
      const subscription: Subscription = {
        workflowID,
        kind: key === undefined ? 'r' : 'e',
        key: key ?? '',
        after: 0,
        armed: true,
        found: found as Subscription['found'],
        asked,
      };
      add(subscription);
      scheduleLook(workflowID);
      return { looked, end: () => giveUp(subscription) };
    },
    follow: (workflowID, key, news) => {
      const subscription: Subscription = {
        ...{ workflowID, kind: 's', key, after: 0, armed: false },
        found: news,
        asked: () => {},
      };
      add(subscription);
      return {
        arm: (after) => {
          subscription.after = after;
          subscription.armed = true;
          scheduleLook(workflowID);
        },
        end: () => giveUp(subscription),
      };
    },
    poke: (workflowID) => {
      tellFollowers(workflowID);
      if (of(workflowID).some(({ kind }) => kind !== 's')) scheduleLook(workflowID);
    },
    eventSet: (workflowID) => tellFollowers(workflowID, ''),
    streamWritten: tellFollowers,
    ended: (workflowID, outcome) => {
      for (const subscription of of(workflowID)) {
        if (subscription.kind === 'r') find(subscription, { kind: 'r', workflowID, key: '', ...outcome });
      }
      tellFollowers(workflowID);
    },
    poll: async () => {
      if (size > 0) await look(byWorkflow.keys(), false);
    },
    get size() {
      return size;
    },
  };
}

const nameOf = ({ workflowID, kind, key }: Row): string => `${kind}\0${workflowID}\0${key}`;

function fits({ kind, key, after, armed }: Subscription, row: Watched): boolean {
  if (kind !== row.kind || key !== row.key) return false;
  return kind !== 's' || (armed && (after === null ? null : String(after)) === row.output);
}
