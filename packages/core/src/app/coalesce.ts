// Owns the gathering of single calls into batches: what comes while a batch is under way goes with the next one.
// Never delays a call for the sake of a bigger batch.

export interface CoalesceOptions {
  readonly maxItems: number;
  readonly maxInFlight: number;
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
  let inFlight = 0;
  let scheduled = false;

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
    if (scheduled || inFlight === options.maxInFlight || queue.length === 0) return;
    scheduled = true;
    // After the I/O of this turn: what came in with it goes together.
    setImmediate(launch);
  }

  function launch(): void {
    scheduled = false;
    inFlight += 1;
    void attempt(queue.splice(0, options.maxItems)).then(() => {
      inFlight -= 1;
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
