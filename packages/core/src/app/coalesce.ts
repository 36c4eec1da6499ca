// Owns the gathering of single calls into batches: what comes while a batch is under way goes with the next one.
// Never delays a call for longer than a batch takes, or `patienceMs`.

export interface CoalesceOptions {
  readonly maxItems: number;
  readonly maxInFlight: number;
  /**
   * A batch that is not full goes beside others only if the oldest of them takes longer than so many milliseconds: two
   * small batches cost more than one. Default 0.
   */
  readonly patienceMs?: number;
  /** Whether a failed batch may hide one bad item, so that its items are worth trying one by one. */
  readonly mayBeOneItem: (error: unknown) => boolean;
}

interface Waiting<I, O> {
  readonly item: I;
  readonly resolve: (answer: O) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes a function of one item from a function of many. */
export function coalesce<I, O>(
  run: (items: readonly I[]) => Promise<O[]>,
  options: CoalesceOptions,
): (item: I) => Promise<O> {
  const queue: Waiting<I, O>[] = [];
  /** When each batch under way began, the oldest first. */
  const inFlight = new Set<{ at: number }>();
  let scheduled = false;
  let impatience: NodeJS.Timeout | undefined;
  const { maxItems, maxInFlight, patienceMs = 0 } = options;

  async function attempt(batch: readonly Waiting<I, O>[]): Promise<void> {
    try {
      const answers = await run(batch.map((waiting) => waiting.item));
      for (const [index, waiting] of batch.entries()) waiting.resolve(answers[index] as O);
    } catch (error) {
      if (batch.length > 1 && options.mayBeOneItem(error)) {
        for (const waiting of batch) await attempt([waiting]);
      } else {
        for (const waiting of batch) waiting.reject(error);
      }
    }
  }

  function schedule(): void {
    if (scheduled || inFlight.size === maxInFlight || queue.length === 0) return;
    const [oldest] = inFlight;
    const left = oldest === undefined ? 0 : oldest.at + patienceMs - performance.now();
    if (left > 0 && queue.length < maxItems) {
      impatience ??= setTimeout(() => {
        impatience = undefined;
        schedule();
      }, left);
      return;
    }
    scheduled = true;
    // After the I/O of this turn: what came in with it goes together.
    setImmediate(launch);
  }

  function launch(): void {
    scheduled = false;
    const batch = { at: performance.now() };
    inFlight.add(batch);
    void attempt(queue.splice(0, maxItems)).then(() => {
      inFlight.delete(batch);
      schedule();
    });
    schedule();
  }

  return (item) =>
    new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject });
      schedule();
    });
}
