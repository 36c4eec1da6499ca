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
  /** The first look is through, whatever it found. */
  looked: Promise<void>;
}

interface Subscription {
  workflowID: string;
  key: string | undefined;
  found: (watched: Watched) => void;
}

export function createWatcher(
  lane: Lane,
  executor: () => number,
  /** Runs in this process, which hears of its end and its events by itself. */
  isHere: (workflowID: string) => boolean,
  onError: (error: unknown) => void,
): Watcher {
  const byWorkflow = new Map<string, Set<Subscription>>();
  let fresh = new Set<string>();
  let round: Promise<void> | undefined;

  const look = async (ids: Iterable<string>, register: boolean): Promise<void> => {
    const results: string[] = [];
    const events = new Map<string, { workflowID: string; key: string }>();
    for (const id of ids) {
      for (const { key } of byWorkflow.get(id) ?? []) {
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
  };

  const schedule = (workflowID: string): Promise<void> => {
    fresh.add(workflowID);
    round ??= new Promise((resolve) => {
      setImmediate(() => {
        round = undefined;
        const ids = [...fresh];
        fresh = new Set();
        const here = ids.filter(isHere);
        const elsewhere = ids.filter((id) => !isHere(id));
        Promise.all([look(here, false), look(elsewhere, true)]).then(
          () => resolve(),
          (error: unknown) => {
            onError(error);
            resolve();
          },
        );
      });
    });
    return round;
  };

  const remove = (subscription: Subscription): void => {
    const set = byWorkflow.get(subscription.workflowID);
    set?.delete(subscription);
    if (set?.size === 0) byWorkflow.delete(subscription.workflowID);
  };

  return {
    subscribe: (workflowID, key, found) => {
      const subscription = { workflowID, key, found };
      const set = byWorkflow.get(workflowID);
      if (set === undefined) byWorkflow.set(workflowID, new Set([subscription]));
      else set.add(subscription);
      return { looked: schedule(workflowID), end: () => remove(subscription) };
    },
    poke: (workflowID) => {
      if (byWorkflow.has(workflowID)) void schedule(workflowID);
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
