// A clock that tests put forward. The schema's clock function is replaced by one with an offset, so everything that
// the database decides (sleeps, timeouts, leases, schedules) follows, in every process that uses the schema.

import type { Pawl } from '../app/pawl.ts';
import { internals } from '../app/internals.ts';
import type { Runtime } from '../app/runtime.ts';
import { type Duration, toMilliseconds } from '../codec/index.ts';
import type { Activation } from '../engine/activation.ts';
import { ConfigurationError } from '../errors/index.ts';

/** How long what became due may take to come to rest, in real time, before the clock goes on. */
const SETTLE_MS = 1000;
/** How long until it is taken up at all, which is up to Pawl and the machine. */
const TAKEN_MS = 5000;
const LOOK_MS = 2;
/** Each stop is so long after the moment that something was due. */
const LATE_MS = 2;
/** An advance that stops more often takes minutes, and is most likely a mistake. */
const MOST_STOPS = 10_000;

/**
 * Holds the clock of a schema. `advance` makes time pass without waiting: from one due moment to the next, so that a
 * workflow that sleeps a day seven times has gone round seven times after `advance('7d')`, and an hourly schedule has been
 * run three times after `advance('3h')`.
 *
 * Follows it: sleeps, timeouts of workflows and waits, pauses between attempts, deadlines, leases of dead processes,
 * `pawl.now()`. Does not: the `timeout` of a step, which measures a function that really runs, and the clock of
 * JavaScript.
 *
 * @example
 * const clock = new TestClock(pawl);
 * const handle = await pawl.startWorkflow(trial)('ada');   // sleeps for 30 days, then asks for money
 * await clock.advance('30d');
 * expect(await handle.getResult()).toBe('paid');
 */
export class TestClock {
  readonly #pawls: readonly Pawl[];
  #offsetMs = 0;

  /** Launched Pawls of one schema; those that are shut down later are left out while they are. */
  constructor(...pawls: [Pawl, ...Pawl[]]) {
    this.#pawls = pawls;
  }

  /** The time by this clock. */
  async now(): Promise<Date> {
    const { rows } = await this.#runtime.database.query<{ now: number }>(
      'SELECT pawl.epoch_ms(pawl.clock()) AS now',
    );
    return new Date(Number(rows[0]?.now));
  }

  /**
   * Puts the clock forward and sets off what became due, in its order. Resolves when that has come to rest: finished,
   * or waiting for something else; what takes longer than a second of real time is not waited for.
   * @throws ConfigurationError if more than 10,000 moments are on the way
   */
  async advance(duration: Duration): Promise<void> {
    let target = this.#offsetMs + toMilliseconds(duration, 'duration of advance');
    for (let stops = 0; ; stops++) {
      const next = await this.#settle();
      if (this.#offsetMs + next >= target) break;
      if (stops === MOST_STOPS)
        throw new ConfigurationError(
          `advance() has stopped ${MOST_STOPS} times, each time because something was due. Advance by less, or pause what is due so often: pawl.pauseSchedule(name).`,
        );
      await this.#put(this.#offsetMs + next + LATE_MS);
      // What follows must not fall behind the end for it.
      target += LATE_MS;
    }
    if (target > this.#offsetMs) await this.#put(target);
    await this.#settle();
  }

  /** Back to the real time. */
  async reset(): Promise<void> {
    await this.#put(0);
  }

  get #running(): Runtime[] {
    return this.#pawls.filter((pawl) => pawl.state === 'ready').map((pawl) => internals(pawl).runtime);
  }

  get #runtime(): Runtime {
    const [first] = this.#running;
    if (first === undefined) throw new ConfigurationError('A TestClock needs a Pawl that is launched.');
    return first;
  }

  /** The living keep what is left of their leases; those of the dead run out. */
  async #put(offsetMs: number): Promise<void> {
    const { database } = this.#runtime;
    const shift = offsetMs - this.#offsetMs;
    const living = this.#running.map(({ engine }) => engine.executor);
    await database.transaction({}, async (tx) => {
      await tx.query(
        database.qualify(
          `CREATE OR REPLACE FUNCTION pawl.clock() RETURNS timestamptz LANGUAGE sql VOLATILE
           AS $$ SELECT clock_timestamp() + interval '${offsetMs} milliseconds' $$`,
        ),
      );
      await tx.query(
        database.qualify(
          `UPDATE pawl.executor SET lease_until = lease_until + $1::float8 * interval '1 millisecond'
           WHERE number = ANY ($2::bigint[])`,
        ),
        [shift, living],
      );
    });
    this.#offsetMs = offsetMs;
  }

  /** Ticks until nothing moves. Returns in how many milliseconds the next thing is due; Infinity: never. */
  async #settle(): Promise<number> {
    const last = performance.now() + TAKEN_MS;
    let end = performance.now() + SETTLE_MS;
    for (;;) {
      await Promise.all(this.#running.map(({ executor }) => executor.tickNow()));
      while (this.#running.some(isBusy) && performance.now() < end)
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      const { due, next } = await this.#look();
      if (due && performance.now() < last) end = performance.now() + SETTLE_MS;
      else if (!this.#running.some(isBusy) || performance.now() >= end) return next;
    }
  }

  async #look(): Promise<{ due: boolean; next: number }> {
    const runtimes = this.#running;
    const names = runtimes.flatMap(({ engine }) => engine.registry.served().map(({ name }) => name));
    // What is due and served must go first; what waits in memory and is due will be looked at by its own alarm.
    const { rows } = await this.#runtime.database.query<{ due: boolean; next: number | null }>(
      `WITH moments AS (
         SELECT w.wake_at AS at, w.name = ANY ($1::text[]) AND w.blocked IS NULL AS here FROM pawl.workflow w
         WHERE w.status IN ('PENDING', 'DELAYED') AND w.owner IS NULL AND w.wake_at IS NOT NULL
         UNION ALL
         SELECT w.deadline, true FROM pawl.workflow w
         WHERE w.status IN ('PENDING', 'ENQUEUED', 'DELAYED') AND w.deadline IS NOT NULL
         UNION ALL
         SELECT s.deadline, false FROM pawl.step s JOIN pawl.workflow w ON w.id = s.workflow_id
         WHERE s.completed_at IS NULL AND s.deadline IS NOT NULL AND w.status = 'PENDING'
         UNION ALL
         SELECT s.next_at, true FROM pawl.schedule s WHERE s.name = ANY ($2::text[]) AND NOT s.paused
       )
       SELECT coalesce(bool_or(m.here AND m.at <= c.now), false) AS due,
         pawl.epoch_ms(min(m.at) FILTER (WHERE m.at > c.now)) - pawl.epoch_ms(max(c.now)) AS next
       FROM (SELECT pawl.clock() AS now) c LEFT JOIN moments m ON true`,
      [names, runtimes.flatMap(({ scheduler }) => scheduler.names)],
    );
    const moments = runtimes.map(({ engine }) => engine.clock.nextAlarm() - engine.clock.now());
    const { due = false, next = null } = rows[0] ?? {};
    const soonest = Math.min(next ?? Number.POSITIVE_INFINITY, ...moments.filter((ms) => ms > 0));
    return { due, next: Math.ceil(soonest) };
  }
}

/** Something runs or is being written: not every workflow in memory waits. */
function isBusy({ engine }: Runtime): boolean {
  if (engine.clock.nextAlarm() <= engine.clock.now()) return true;
  for (const activation of engine.activations.values()) if (!rests(activation)) return true;
  return false;
}

function rests({ state, running, pausing, pending, waits, reads }: Activation): boolean {
  if (state !== 'running') return state === 'cancelled';
  if (running > 0 || pending > 0 || waits.size + reads.size + pausing === 0) return false;
  for (const wait of waits) if (wait.state !== 'waiting') return false;
  return true;
}
