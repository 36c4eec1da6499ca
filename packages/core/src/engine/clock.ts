// The database's clock as this process estimates it between two looks. Only timers use it: what is due is decided
// by the database when the timer asks.

export class DatabaseClock {
  #offset = Date.now() - performance.now();

  /** `at`: the database's time when it answered, which was before now; so the estimate is late, never early. */
  learn(at: number): void {
    this.#offset = at - performance.now();
  }

  /** Milliseconds of the epoch. */
  now(): number {
    return this.#offset + performance.now();
  }
}
