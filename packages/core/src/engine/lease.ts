// How long this process may take for granted that it owns what it runs. It knows nothing of the database: the worker
// tells it of renewals. A process that was paused for longer than its lease finds here that it has to ask first.

export class Lease {
  /** By performance.now(). Embedded it never ends: nobody else is there. */
  #until = Number.POSITIVE_INFINITY;
  readonly #ask: () => void;
  #waiting: (() => void)[] = [];

  /** `ask`: renew soon, somebody waits for it. */
  constructor(ask: () => void) {
    this.#ask = ask;
  }

  extend(until: number): void {
    this.#until = until;
    for (const go of this.#waiting.splice(0)) go();
  }

  get lasts(): boolean {
    return performance.now() < this.#until;
  }

  /** undefined while the lease lasts, else a promise of its renewal. */
  renewal(): Promise<void> | undefined {
    if (this.lasts) return undefined;
    this.#ask();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
