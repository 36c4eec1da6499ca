// A promise with a time limit of any length.

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** `late` undefined: resolves with null instead of rejecting. */
export function withTimeout<T>(
  promise: Promise<T>,
  timeoutMs: number,
  abandon: () => void,
  late?: () => Error,
): Promise<T> {
  if (!Number.isFinite(timeoutMs)) return promise;
  const end = performance.now() + timeoutMs;
  return new Promise<T>((resolve, reject) => {
    let timer: NodeJS.Timeout;
    const arm = () => {
      timer = setTimeout(
        () => {
          if (performance.now() < end - 1) {
            arm();
            return;
          }
          abandon();
          if (late === undefined) resolve(null as T);
          else reject(late());
        },
        Math.min(Math.max(0, end - performance.now()), LONGEST_TIMER_MS),
      );
    };
    arm();
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
