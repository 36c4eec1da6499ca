// A promise with a time limit of any length.

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface TimeLimit {
  timeoutMs: number;
  /** The limit is not enforced before this: what is there is found, however short the time. */
  looked: Promise<void>;
  /** The time is up. */
  abandon: () => void;
  /** Absent: resolves with null instead of rejecting. */
  late?: () => Error;
}

export function withTimeout<T>(promise: Promise<T>, limit: TimeLimit): Promise<T> {
  if (!Number.isFinite(limit.timeoutMs)) return promise;
  const end = performance.now() + limit.timeoutMs;
  return new Promise<T>((resolve, reject) => {
    let timer: NodeJS.Timeout;
    const giveUp = async () => {
      await limit.looked;
      // What the look found was settled before; a promise that is settled first wins.
      await new Promise(setImmediate);
      limit.abandon();
      if (limit.late === undefined) resolve(null as T);
      else reject(limit.late());
    };
    const arm = () => {
      const remaining = end - performance.now();
      const next = () => (end - performance.now() > 1 ? arm() : void giveUp());
      timer = setTimeout(next, Math.min(Math.max(0, remaining), LONGEST_TIMER_MS));
    };
    arm();
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
