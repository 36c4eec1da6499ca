// Claims what nobody runs, one call at a time, until a call comes back short: what is due (recovered, un-parked,
// handed over), and what waits in queues. One at a time, because both count against what a process may run of a queue.

import type { Engine } from '../engine/engine.ts';
import type { Lane } from '../store/database.ts';
import {
  claim,
  type ClaimedWorkflow,
  keepTraces,
  type Occupied,
  type TraceOfRun,
} from '../store/lifecycle.ts';
import { dispatch } from '../store/queues.ts';

export interface Claimer {
  /** Something may be claimable. */
  request(options?: { includeBlocked?: boolean }): void;
  /** Something may be waiting in a queue. `fresh`: it came in here, or a slot became free; peers do not know. */
  requestQueued(options?: { fresh?: boolean }): void;
  /** A slot of a queue is free again. */
  slotFreed(): void;
  stop(): Promise<void>;
  start(): void;
  /** Code of other versions that serves the same. Once one is gone, what it may have blocked is tried again. */
  others(versions: readonly string[]): void;
  /** A claim is under way: what it got is owned, and not known here yet. */
  readonly busy: boolean;
  /** Resolves when the claim from queues that is under way, or was asked for in this turn, has begun what it got. */
  claimed(): Promise<void>;
}

export interface ClaimerOptions {
  engine: Engine;
  lane: Lane;
  anyVersion: boolean;
  /** The queues that are served; undefined: all. */
  queues: readonly string[] | undefined;
  /** A claim failed, and may have taken effect. */
  onDoubt: (options?: { soon: true }) => void;
  /** Something is due that anybody may claim. */
  onDue: () => void;
  /** Something waits in a queue, and this process cannot take it. */
  onLeft: () => void;
}

const BATCH = 200;
const MAX_ACTIVE = 20_000;
/** How long somebody may hold what is blocked before it is looked for again. */
const HELD_MS = 250;
/** From queues, at once, so that a backlog is shared with peers. A workflow that waits for long parks, and makes room. */
const MAX_QUEUED = 1000;

export function createClaimer(options: ClaimerOptions): Claimer {
  const { engine, lane, anyVersion, queues, onDoubt } = options;
  let running: Promise<void> | undefined;
  let claiming: Promise<void> | undefined;
  let again = false;
  let queued = false;
  let fresh = false;
  let includeBlocked = false;
  let others: readonly string[] = [];
  let lastQueue = '';
  let stopLater = (): void => {};
  let stopRetry = (): void => {};
  /** Something that is due was left because its queue had no slot here. */
  let crowded = false;
  const tried = new Set<string>();
  let stopped = true;

  const recover = (workflow: ClaimedWorkflow, traces: TraceOfRun[]): void => {
    const { workflowID, fence } = workflow;
    try {
      const trace = engine.recover(workflow);
      if (trace !== undefined) traces.push({ workflowID, fence, trace });
    } catch (error) {
      const text = 'A claimed workflow could not be begun';
      engine.events.emit('remark', { level: 'error', text, workflowID, error });
      onDoubt();
    }
  };

  const begin = (claimed: readonly ClaimedWorkflow[]): void => {
    const traces: TraceOfRun[] = [];
    for (const workflow of claimed) recover(workflow, traces);
    // Not awaited, and not tried again: the next run would be linked to an earlier one than its last.
    if (traces.length > 0) keepTraces(lane, traces).catch(() => {});
  };

  const occupied = (): Occupied => ({ queues, counts: engine.slots.counts });

  /** True if there may be more. */
  const claimDue = async (): Promise<boolean> => {
    const limit = Math.min(BATCH, MAX_ACTIVE - engine.activations.size);
    const served = engine.registry.served();
    if (limit <= 0 || served.length === 0) return false;
    // Before what is ready: that may be blocked right away, and is not to be tried again.
    const blocked = includeBlocked;
    const { executor } = engine;
    let full = false;
    let hidden = false;
    let held = false;
    const claimed = await claim(lane, {
      executor,
      limit,
      served,
      anyVersion,
      blocked,
      occupied: occupied(),
      onFull: (others) => {
        full = true;
        hidden = others;
      },
      onHeld: () => (held = true),
    });
    // Nobody waits for it any more; it is handed back with the rest.
    if (stopped) return false;
    crowded = full;
    begin(claimed);
    if (blocked) {
      // All of them, but each once: what is blocked again at once comes back behind the others.
      const seen = claimed.some(({ workflowID }) => tried.has(workflowID));
      for (const { workflowID } of claimed) tried.add(workflowID);
      if (held && !seen) {
        // What is due does not wait for them.
        includeBlocked = false;
        stopRetry();
        stopRetry = engine.clock.alarm(engine.clock.now() + HELD_MS, () => request({ includeBlocked: true }));
      } else if (seen || claimed.length < limit) {
        includeBlocked = false;
        tried.clear();
      }
      return true;
    }
    return claimed.length === limit || hidden;
  };

  const claimQueued = async (tell: boolean): Promise<void> => {
    const limit = Math.min(BATCH, MAX_QUEUED - engine.slots.total, MAX_ACTIVE - engine.activations.size);
    const served = engine.registry.served();
    if (limit <= 0 || served.length === 0) {
      if (tell) options.onLeft();
      return;
    }
    const { executor } = engine;
    const result = await dispatch(lane, {
      executor,
      limit,
      served,
      anyVersion,
      occupied: occupied(),
      after: lastQueue,
    });
    if (stopped) return;
    begin(result.claimed);
    lastQueue = result.claimed.at(-1)?.queue ?? lastQueue;
    if (result.due) {
      again = true;
      options.onDue();
    }
    if (result.again) queued = true;
    if ((result.left || result.again) && tell) options.onLeft();
    if (result.laterAt !== undefined) {
      stopLater();
      stopLater = engine.clock.alarm(result.laterAt, () => requestQueued());
    }
  };

  const run = async (): Promise<void> => {
    // One flush ends many, and each frees a slot: the claim is for all of these, and not for the first.
    await Promise.resolve();
    while (!stopped && (again || queued)) {
      if (again) {
        again = false;
        again = (await claimDue()) || again;
      }
      if (queued && !stopped) {
        const tell = fresh;
        queued = fresh = false;
        claiming = claimQueued(tell);
        await claiming;
        claiming = undefined;
      }
    }
  };

  const wake = (): void => {
    if (stopped) return;
    running ??= run()
      .catch((error: unknown) => {
        again = queued = false;
        const text = 'Claiming failed; the next tick tries again';
        engine.events.emit('remark', { level: 'warn', text, error });
        onDoubt({ soon: true });
      })
      .finally(() => {
        running = undefined;
        if (again || queued) wake();
      });
  };

  const request: Claimer['request'] = (given) => {
    includeBlocked ||= given?.includeBlocked ?? false;
    if (stopped) return;
    again = true;
    wake();
  };

  const requestQueued = (given?: { fresh?: boolean }): void => {
    if (stopped) return;
    fresh ||= given?.fresh ?? false;
    queued = true;
    wake();
  };

  return {
    start: () => {
      stopped = false;
    },
    get busy() {
      return running !== undefined;
    },
    claimed: async () => {
      await claiming?.catch(() => {});
    },
    request,
    requestQueued,
    slotFreed: () => {
      requestQueued();
      if (crowded) request();
    },
    others: (versions) => {
      const gone = others.some((version) => !versions.includes(version));
      others = versions;
      if (gone) request({ includeBlocked: true });
    },
    stop: async () => {
      stopped = true;
      stopLater();
      stopRetry();
      await running;
    },
  };
}
