// Owns one waiter that several causes may wake: news, a client that went away, a stop.
// Never says which of them it was.

export interface Bell {
  /** Wakes who waits, or who waits next. */
  readonly ring: () => void;
  /** Resolves with true at the next ring, with false once the time is over, if there is one. Leaves no timer behind. */
  wait(ms?: number): Promise<boolean>;
}

export function createBell(): Bell {
  let rung = false;
  let wake: (rung: boolean) => void = () => {};
  return {
    ring: () => {
      rung = true;
      wake(true);
    },
    wait: (ms) =>
      new Promise<boolean>((resolve) => {
        const timer = rung || ms === undefined ? undefined : setTimeout(() => wake(false), ms);
        wake = (by) => {
          clearTimeout(timer);
          wake = () => {};
          rung = false;
          resolve(by);
        };
        if (rung) wake(true);
      }),
  };
}
