// Callers outside workflows that wait for results and events of workflows that run elsewhere. Looks are gathered:
// one query for all that began to wait in a turn, one per tick for all that still do, one for what a hint names.

import type { Lane } from '../store/database.ts';
import { watch, type Watched } from '../store/lifecycle.ts';

export interface Watcher {
  /** `found` is called once, when the result or (with a key) the event is there. */
  subscribe(workflowID: string, key: string | undefined, found: (watched: Watched) => void): Subscribed;
  /** Something happened to this workflow. */
  poke(workflowID: string): void;
  /** It ended in this very process: nobody here needs to ask the database. */
  ended(workflowID: string, outcome: { status: string; output: string | null; error: string | null }): void;
  /** The fallback of the hints: looks for all, if there are any. */
  poll(): Promise<void>;
}

interface Subscribed {
  end: () => void;
  /** The database was asked at least once, whatever the answer. Stays open while it does not answer. */
  looked: Promise<void>;
}

interface Subscription {
  workflowID: string;
  key: string | undefined;
  found: (watched: Watched) => void;
  asked: () => void;
}

/** After a look that failed: the connection is often back at once. */
const RETRY_MS = 50;

export function createWatcher(
  lane: Lane,
  executor: () => number,
  /** Runs in this process, which hears of its end and its events by itself. */
  isHere: (workflowID: string) => boolean,
  onError: (error: unknown) => void,
): Watcher {
  const byWorkflow = new Map<string, Set<Subscription>>();
  let fresh = new Set<string>();
  let scheduled = false;

  const look = async (ids: Iterable<string>, register: boolean): Promise<void> => {
    const results: string[] = [];
    const events = new Map<string, { workflowID: string; key: string }>();
    const asking: Subscription[] = [];
    for (const id of ids) {
      for (const subscription of byWorkflow.get(id) ?? []) {
        const { key } = subscription;
        asking.push(subscription);
        if (key === undefined) {
          if (results.at(-1) !== id) results.push(id);
        } else events.set(`${id}\0${key}`, { workflowID: id, key });
      }
    }
    if (results.length === 0 && events.size === 0) return;
    const rows = await watch(lane, { executor: executor(), register, results, events: [...events.values()] });
    for (const row of rows) {
      for (const subscription of [...(byWorkflow.get(row.workflowID) ?? [])]) {
        if (
          (subscription.key === undefined) === (row.kind === 'r') &&
          (row.kind === 'r' || subscription.key === row.key)
        ) {
          remove(subscription);
          subscription.found(row);
        }
      }
    }
    for (const { asked } of asking) asked();
  };

  const schedule = (workflowID: string): void => {
    fresh.add(workflowID);
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      const ids = [...fresh];
      fresh = new Set();
      const lookForAll = () =>
        Promise.all([
          look(ids.filter(isHere), false),
          look(
            ids.filter((id) => !isHere(id)),
            true,
          ),
        ]);
      lookForAll()
        .catch(() => new Promise((resolve) => setTimeout(resolve, RETRY_MS)).then(lookForAll))
        .catch(onError);
    });
  };

  const remove = (subscription: Subscription): void => {
    const set = byWorkflow.get(subscription.workflowID);
    set?.delete(subscription);
    if (set?.size === 0) byWorkflow.delete(subscription.workflowID);
  };

  return {
    subscribe: (workflowID, key, found) => {
      let asked = () => {};
      const looked = new Promise<void>((resolve) => (asked = resolve));
      const subscription = { workflowID, key, found, asked };
      const set = byWorkflow.get(workflowID);
      if (set === undefined) byWorkflow.set(workflowID, new Set([subscription]));
      else set.add(subscription);
      schedule(workflowID);
      return { looked, end: () => remove(subscription) };
    },
    poke: (workflowID) => {
      if (byWorkflow.has(workflowID)) schedule(workflowID);
    },
    ended: (workflowID, outcome) => {
      for (const subscription of [...(byWorkflow.get(workflowID) ?? [])]) {
        if (subscription.key !== undefined) continue;
        remove(subscription);
        subscription.found({ kind: 'r', workflowID, key: '', ...outcome });
      }
    },
    poll: async () => {
      if (byWorkflow.size > 0) await look(byWorkflow.keys(), false);
    },
  };
}
