// Owns the requests of this process that wait for another one with the same key.
// Never knows what became of that one: whoever is told looks.

export interface WaitingRequests {
  /** Resolves when `tell(id)` is called, the time is over or the signal fires. */
  wait(id: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
  tell(id: string): void;
}

export function waitingRequests(): WaitingRequests {
  const waiting = new Map<string, Set<() => void>>();
  return {
    wait: (id, timeoutMs, signal) =>
      new Promise((resolve) => {
        const wakes = waiting.get(id) ?? new Set();
        const wake = (): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', wake);
          wakes.delete(wake);
          if (wakes.size === 0) waiting.delete(id);
          resolve();
        };
        const timer = setTimeout(wake, timeoutMs);
        signal.addEventListener('abort', wake);
        wakes.add(wake);
        waiting.set(id, wakes);
        if (signal.aborted) wake();
      }),
    tell: (id) => {
      for (const wake of waiting.get(id) ?? []) wake();
    },
  };
}
