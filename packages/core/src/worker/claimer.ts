// Claims what is due and nobody runs, in batches, one claim at a time, until a batch comes back short.

import type { Engine } from '../engine/engine.ts';
import type { Lane } from '../store/database.ts';
import { claim, type ClaimedWorkflow, keepTraces, type TraceOfRun } from '../store/lifecycle.ts';

export interface Claimer {
  /** Something may be claimable. */
  request(options?: { includeBlocked?: boolean }): void;
  stop(): Promise<void>;
  start(): void;
  /** Code of other versions that serves the same. Once one is gone, what it may have blocked is tried again. */
  others(versions: readonly string[]): void;
  /** A claim is under way: what it got is owned, and not known here yet. */
  readonly busy: boolean;
}

const BATCH = 200;
const MAX_ACTIVE = 20_000;

export function createClaimer(
  engine: Engine,
  lane: Lane,
  anyVersion: boolean,
  onDoubt: (options?: { soon: true }) => void,
): Claimer {
  let running: Promise<void> | undefined;
  let again = false;
  let includeBlocked = false;
  let others: readonly string[] = [];
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

  const run = async (): Promise<void> => {
    while (!stopped) {
      again = false;
      const limit = Math.min(BATCH, MAX_ACTIVE - engine.activations.size);
      const served = engine.registry.served();
      if (limit <= 0 || served.length === 0) return;
      // Before what is ready: that may be blocked right away, and is not to be tried again.
      const blocked = includeBlocked;
      const { executor } = engine;
      const claimed = await claim(lane, { executor, limit, served, anyVersion, blocked });
      // Nobody waits for it any more; it is handed back with the rest.
      if (stopped) return;
      const traces: TraceOfRun[] = [];
      for (const workflow of claimed) recover(workflow, traces);
      // Not awaited, and not tried again: the next run would be linked to an earlier one than its last.
      if (traces.length > 0) keepTraces(lane, traces).catch(() => {});
      if (blocked) {
        // All of them, but each once: what is blocked again at once comes back behind the others.
        const seen = claimed.some(({ workflowID }) => tried.has(workflowID));
        for (const { workflowID } of claimed) tried.add(workflowID);
        if (seen || claimed.length < limit) {
          includeBlocked = false;
          tried.clear();
        }
      }
      if (claimed.length < limit && !again && !blocked) return;
    }
  };

  const request: Claimer['request'] = (options) => {
    includeBlocked ||= options?.includeBlocked ?? false;
    if (stopped) return;
    again = true;
    running ??= run()
      .catch((error: unknown) => {
        const text = 'Claiming failed; the next tick tries again';
        engine.events.emit('remark', { level: 'warn', text, error });
        onDoubt({ soon: true });
      })
      .finally(() => {
        running = undefined;
      });
  };

  return {
    start: () => {
      stopped = false;
    },
    get busy() {
      return running !== undefined;
    },
    request,
    others: (versions) => {
      const gone = others.some((version) => !versions.includes(version));
      others = versions;
      if (gone) request({ includeBlocked: true });
    },
    stop: async () => {
      stopped = true;
      await running;
    },
  };
}
