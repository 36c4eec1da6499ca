// Passes fired waiters on, one call at a time, until none is left.

import type { Lane } from '../store/database.ts';
import { wake } from '../store/lifecycle.ts';

export interface WakerOptions {
  lane: Lane;
  /** A parked workflow became due. */
  onDue: () => void;
  /** An executor runs it, or has callers who wait for it. */
  onWoken: (executor: number, workflowID: string) => void;
}

export interface Waker {
  request(): void;
  stop(): Promise<void>;
}

/** Somebody holds the row of a workflow that is to be woken. */
const HELD_PAUSE_MS = 50;
const BATCH = 500;

export function createWaker({ lane, onDue, onWoken }: WakerOptions): Waker {
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;

  const run = async (): Promise<void> => {
    while (again && !stopped) {
      again = false;
      const woken = await wake(lane);
      for (const { executor, workflowID } of woken) {
        if (executor < 0) setTimeout(request, HELD_PAUSE_MS).unref();
        else if (executor === 0) onDue();
        else onWoken(executor, workflowID);
      }
      if (woken.length >= BATCH) again = true;
    }
  };

  const request = (): void => {
    again = true;
    running ??= run()
      // The next tick finds what is left.
      .catch(() => {
        again = false;
      })
      .finally(() => {
        running = undefined;
        if (again && !stopped) request();
      });
  };

  return {
    request,
    stop: async () => {
      stopped = true;
      await running;
    },
  };
}
