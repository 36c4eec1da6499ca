// The database's clock as this process estimates it between two looks, and the timers that follow it. What is due is
// decided by the database when a timer asks.

const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** So many of the last looks say how far away the database is: one in ten seconds is answered at once. */
const LOOKS = 20;
/** Timers are set anew when the clock turns out to be elsewhere by more than this. */
const TOLERANCE_MS = 50;

interface Alarm {
  readonly at: number;
  set(): void;
}

export class DatabaseClock {
  #offset = Date.now() - performance.now();
  /** The offset that the timers were set by. */
  #applied = this.#offset;
  #known = false;
  readonly #took: number[] = [];
  readonly #alarms = new Set<Alarm>();

  /**
   * `at`: the database's time when it answered, which was before now; so the estimate is late, never early. `tookMs`: the
   * time that the look took. Returns by how much the clock was put forward since the last look.
   */
  learn(at: number, tookMs: number): number {
    if (this.#took.push(tookMs) > LOOKS) this.#took.shift();
    const offset = at - performance.now();
    const forward = this.#known ? offset - this.#offset : 0;
    this.#known = true;
    this.#offset = offset;
    if (Math.abs(offset - this.#applied) > TOLERANCE_MS) {
      this.#applied = offset;
      for (const alarm of this.#alarms) alarm.set();
    }
    return forward;
  }

  /** Milliseconds of the epoch. */
  now(): number {
    return this.#offset + performance.now();
  }

  /** Between here and the database, 0 if nobody looked yet. */
  get roundTripMs(): number {
    return this.#took.length === 0 ? 0 : Math.min(...this.#took);
  }

  /** Calls `ring` once when the clock shows `at`, be it months from now. Returns what takes it back. */
  alarm(at: number, ring: () => void): () => void {
    let timer: NodeJS.Timeout | undefined;
    const check = (): void => {
      if (at > this.now()) {
        alarm.set();
        return;
      }
      this.#alarms.delete(alarm);
      ring();
    };
    const alarm: Alarm = {
      at,
      set: () => {
        clearTimeout(timer);
        timer = setTimeout(check, Math.min(Math.max(0, Math.ceil(at - this.now())), LONGEST_TIMER_MS));
      },
    };
    this.#alarms.add(alarm);
    alarm.set();
    return () => {
      clearTimeout(timer);
      this.#alarms.delete(alarm);
    };
  }

  /** When the next alarm rings; Infinity: never. */
  nextAlarm(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { at } of this.#alarms) next = Math.min(next, at);
    return next;
  }
}
