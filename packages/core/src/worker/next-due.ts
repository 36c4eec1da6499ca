// One timer for the next thing that becomes due: whoever hears of a time says it, the earliest counts.

import type { DatabaseClock } from '../engine/clock.ts';

export interface NextDue {
  /** `at`: by the database's clock. */
  set(at: number): void;
  stop(): void;
}

/** `ring` asks what comes next. */
export function createNextDue(clock: DatabaseClock, ring: () => void): NextDue {
  let earliest = Number.POSITIVE_INFINITY;
  let cancel = (): void => {};
  let stopped = false;
  return {
    set: (at) => {
      if (at >= earliest || stopped) return;
      cancel();
      earliest = at;
      cancel = clock.alarm(at, () => {
        earliest = Number.POSITIVE_INFINITY;
        ring();
      });
    },
    stop: () => {
      stopped = true;
      cancel();
    },
  };
}
