// A simulated process: it runs workflows as the engine does, but every statement that it would send is handed to the
// schedule, which decides when it goes, how far, and whether its answer arrives.
import {
  type Awaited,
  declareGone,
  disown,
  HANDED_OVER,
  release,
  retire,
  strand,
  tick,
  type TickResult,
} from '../../packages/core/src/store/executors.ts';
import { flush } from '../../packages/core/src/store/flush.ts';
import {
  block,
  cancelNoticed,
  claim,
  type ClaimedWorkflow,
  type Owned,
  wake,
} from '../../packages/core/src/store/lifecycle.ts';
import type { FlushResult, Operation, StartPart } from '../../packages/core/src/store/operations.ts';
import type { Side } from './connections.ts';
import { violated } from './oracle.ts';
import { Run } from './run.ts';
import type { Offer, Pending, Shared, Task } from './tasks.ts';
import { LEASE_MS, NAME, VERSION } from './world.ts';

export class Process {
  readonly runs = new Map<string, Run>();
  /** Requests of callers that go through this process's journal. */
  readonly requests: Offer[] = [];
  /** Flushes whose answers were lost. */
  readonly again: Pending[][] = [];
  readonly next: Task[] = [];
  readonly busy = new Map<string, number>();
  readonly inbox: (() => void)[] = [];
  readonly suspects = new Map<number, { armed: number; since: number }>();
  state: 'up' | 'stopping' | 'dead' = 'up';
  /** Turns of the schedule that it sleeps through. */
  paused = 0;
  lost = false;
  ready = true;
  queued = true;
  doubtSince: number | undefined;
  renewed: { done: number; now: number };
  claiming = 0;
  control = 0;
  flushing = 0;
  armed = 0;

  number: number;
  readonly locked: boolean;
  readonly shared: Shared;

  constructor(number: number, locked: boolean, shared: Shared, at: number) {
    this.number = number;
    this.locked = locked;
    this.shared = shared;
    this.renewed = { done: at, now: shared.now() };
  }

  /** Operations that may enter a flush now. */
  offers(): Offer[] {
    const offers = [...this.requests];
    for (const run of this.runs.values()) offers.push(...run.ready());
    const held = new Set<string>();
    return offers.filter(({ keys }) => {
      const free = keys.every((key) => !this.busy.has(key) && !held.has(key));
      // What comes later under the same key waits behind it; within a flush they are in order anyhow.
      if (!free) for (const key of keys) held.add(key);
      return free;
    });
  }

  flush(offers: readonly Offer[]): Task {
    const pending = offers.map((offer) => {
      const at = this.requests.indexOf(offer);
      if (at >= 0) this.requests.splice(at, 1);
      return offer.make();
    });
    this.#hold(pending, 1);
    return this.#flush(pending, false);
  }

  /** A flush whose answer was lost is sent once more. */
  flushAgain(): Task {
    return this.#flush(this.again.shift() as Pending[], true);
  }

  #flush(pending: Pending[], careful: boolean): Task {
    const { number } = this;
    this.flushing++;
    const operations = pending.map((each) => each.operation);
    return {
      by: this,
      label: `flush${careful ? ' again' : ''} ${pending.map((each) => each.label).join(', ')}`,
      work: (side) => flush(side, number, operations, { careful }),
      seen: (answer, span) => {
        const { answers } = answer as FlushResult;
        for (let i = 0; i < pending.length; i++) {
          const each = pending[i] as Pending;
          each.seen(answers[i], { ...span, first: each.sent ?? span.sent, executor: number });
        }
      },
      sent: (at) => {
        for (const each of pending) each.sent ??= at;
      },
      settle: (answer) => {
        this.flushing--;
        const result = answer as FlushResult;
        this.#hold(pending, -1);
        for (let i = 0; i < pending.length; i++) (pending[i] as Pending).settle(result.answers[i]);
        if (result.fired) this.next.push(this.wake());
        if (result.ready) this.ready = true;
        for (const { workflowID, executor } of result.hints) this.hint(executor, workflowID);
      },
      lose: () => {
        this.flushing--;
        this.again.push(pending);
      },
    };
  }

  #hold(pending: readonly Pending[], change: 1 | -1): void {
    for (const each of pending) {
      for (const key of keysOf(each.operation)) {
        const count = (this.busy.get(key) ?? 0) + change;
        if (count === 0) this.busy.delete(key);
        else this.busy.set(key, count);
      }
    }
  }

  claim(blocked: boolean, limit = 100): Task {
    const { number, shared } = this;
    this.claiming++;
    this.ready = false;
    return {
      by: this,
      control: true,
      label: 'claim',
      work: (side) =>
        claim(side, {
          executor: number,
          limit,
          served: [{ name: NAME, version: VERSION, maxRecoveryAttempts: shared.maxAttempts }],
          anyVersion: false,
          blocked,
        }),
      seen: (answer, span) => {
        for (const each of answer as ClaimedWorkflow[]) shared.oracle.claimed(each, number, span.done);
      },
      settle: (answer) => {
        this.claiming--;
        if (number !== this.number) return;
        for (const claimed of answer as ClaimedWorkflow[]) this.recover(claimed);
      },
      lose: () => {
        this.claiming--;
        this.doubtSince ??= shared.now();
      },
    };
  }

  /** It runs here, from its beginning. */
  begin({ workflowID, nonce, fence }: StartPart): void {
    this.runs.set(workflowID, new Run(this, { workflowID, nonce, fence, journal: [] }));
  }

  recover(claimed: ClaimedWorkflow): void {
    const other = this.runs.get(claimed.workflowID);
    if (other !== undefined && other.nonce === claimed.nonce && other.fence > claimed.fence) return;
    this.runs.set(claimed.workflowID, new Run(this, claimed));
  }

  tick(): Task {
    const { number, shared } = this;
    const sentAt = shared.now();
    return {
      by: this,
      control: true,
      label: 'tick',
      work: (side) =>
        tick(side, {
          executor: number,
          lockClass: shared.lockClass,
          leaseMs: LEASE_MS,
          renew: true,
          armed: this.armed,
          locked: this.locked,
          alone: false,
          awaited: this.#awaited(),
          timeoutError: 'late',
          served: undefined,
        }),
      seen: (answer, span) => {
        shared.oracle.cancelled((answer as TickResult).cancelled, span.done);
        if (!(answer as TickResult).lost && span.done > this.renewed.done)
          this.renewed = { done: span.done, now: Math.max(sentAt, this.renewed.now) };
      },
      settle: (answer) => this.#ticked(answer as TickResult, number),
      lose: () => {
        this.doubtSince ??= shared.now();
      },
    };
  }

  #awaited(): Awaited {
    const awaited = { messages: [], results: [], events: [] } as {
      messages: { workflowID: string; topic: string }[];
      results: string[];
      events: { workflowID: string; key: string }[];
    };
    for (const run of this.runs.values()) {
      for (const { call } of run.calls.filter((each) => each.state === 'waiting')) {
        if (call.kind === 'recv') awaited.messages.push({ workflowID: run.id, topic: call.topic });
        else if (call.kind === 'getResult') awaited.results.push(call.of);
        else if (call.kind === 'getEvent') awaited.events.push({ workflowID: call.of, key: call.key });
      }
    }
    return awaited;
  }

  #ticked(result: TickResult, number: number): void {
    if (number !== this.number) return;
    if (result.lost) {
      this.lost = true;
      return;
    }
    if (result.ready) this.ready = true;
    if (result.queued) this.queued = true;
    if (result.fired) this.next.push(this.wake());
    if (result.stranded) this.next.push(this.strand());
    const poke = (matches: (call: Run['calls'][number]['call'], run: Run) => boolean): void => {
      for (const run of this.runs.values())
        for (const each of run.calls) if (matches(each.call, run)) run.poke(each);
    };
    for (const { workflowID, topic } of result.messages)
      poke((call, run) => run.id === workflowID && call.kind === 'recv' && call.topic === topic);
    for (const id of result.results) poke((call) => call.kind === 'getResult' && call.of === id);
    for (const { workflowID, key } of result.events)
      poke((call) => call.kind === 'getEvent' && call.of === workflowID && call.key === key);
    for (const run of this.runs.values())
      for (const each of run.calls)
        if (each.deadline !== null && each.deadline <= (result.clock ?? 0)) run.poke(each);
    this.tellCancelled(
      result.cancelled.map(({ workflowID, executor, fence }) => ({ workflowID, executor, fence })),
    );
    const mine = result.cancelled.filter((each) => each.executor === number).map((each) => each.workflowID);
    if (mine.length > 0) this.next.push(this.#noticed(mine));
    if (result.cancelled.length > 0) this.next.push(this.wake());
    for (const known of this.suspects.keys())
      if (!result.suspects.some((each) => each.number === known)) this.suspects.delete(known);
    for (const { number: suspect, armed, gone } of result.suspects) {
      const known = this.suspects.get(suspect);
      if (gone || (known?.armed === armed && this.shared.now() - known.since >= 500))
        this.next.push(this.#judge(suspect, armed));
      else if (known?.armed !== armed) this.suspects.set(suspect, { armed, since: this.shared.now() });
    }
    if (this.doubtSince !== undefined && this.claiming === 0 && this.flushing === 0)
      this.next.push(this.#disown(result.clock ?? 0));
  }

  /** Word of a cancellation, or of a resume, comes to who ran it, if it comes. */
  tellCancelled(owned: readonly Owned[]): void {
    for (const { workflowID, executor, fence } of owned) {
      const owner = this.shared.processes.find((each) => each.number === executor);
      const run = owner?.runs.get(workflowID);
      if (run?.fence === fence && this.shared.random.chance(60)) run.leave();
    }
  }

  hint(executor: number, id: string): void {
    if (this.shared.random.chance(40)) return;
    const process = this.shared.processes.find((each) => each.number === executor);
    if (process?.state === 'up') process.inbox.push(() => process.runs.get(id)?.pokeAll());
  }

  wake(): Task {
    return this.#task(
      'wake',
      (side) => wake(side),
      (answer) => {
        for (const { executor, workflowID } of answer as { executor: number; workflowID: string }[]) {
          if (executor < 0) this.next.push(this.wake());
          else if (executor === 0) {
            for (const each of this.shared.processes) if (this.shared.random.chance(60)) each.ready = true;
          } else this.hint(executor, workflowID);
        }
      },
    );
  }

  strand(): Task {
    return this.#task(
      'strand',
      (side) => strand(side, this.number, 0, 100),
      () => (this.ready = true),
    );
  }

  #judge(suspect: number, armed: number): Task {
    const { shared } = this;
    const task = this.#task(
      `declare ${suspect} gone`,
      (side) => declareGone(side, suspect, armed, shared.lockClass, false),
      (gone) => {
        this.suspects.delete(suspect);
        if (gone === true) this.next.push(this.release(suspect, armed !== HANDED_OVER));
      },
    );
    return {
      ...task,
      seen: (gone, span) => {
        if (gone !== true) return;
        const accused = shared.processes.find((each) => each.number === suspect);
        if (accused !== undefined && accused.state === 'up' && accused.number === suspect) {
          const { done, now } = accused.renewed;
          if (done < span.sent && shared.now() - now < LEASE_MS)
            violated(`executor ${suspect} was declared gone, and lives`);
        }
        if (armed !== HANDED_OVER) shared.oracle.declaredGone(suspect);
      },
    };
  }

  release(number: number, gone: boolean): Task {
    return this.#task(
      `release ${number}${gone ? ', gone' : ''}`,
      (side) => release(side, number, gone),
      (count) => {
        if ((count as number) > 0) this.next.push(this.release(number, gone));
        this.ready = true;
        for (const each of this.shared.processes) if (this.shared.random.chance(50)) each.ready = true;
      },
    );
  }

  /** `before`: the clock of a tick that came before this. */
  #disown(before: number): Task {
    // What the doubt is about may commit later: it is looked for once more.
    if (this.shared.now() - (this.doubtSince ?? 0) >= 6000) this.doubtSince = undefined;
    const starting = this.again
      .flat()
      .flatMap(({ operation: { start } }) => (start === undefined ? [] : [start.workflowID]));
    const known = [...this.runs.keys(), ...starting];
    return this.#task(
      'disown',
      (side) => disown(side, this.number, known, before),
      () => (this.ready = true),
    );
  }

  #noticed(ids: string[]): Task {
    return this.#task(`cancellation of ${ids.join(' ')} noticed`, (side) =>
      cancelNoticed(side, this.number, ids),
    );
  }

  block(run: Run): Task {
    run.leave();
    const task = this.#task(`block ${run.id}`, (side) => block(side, run.id, run.fence, 'a test'));
    return { ...task, lose: () => (this.doubtSince ??= this.shared.now()) };
  }

  retire(): Task {
    return this.#task(`retire ${this.number}`, (side) => retire(side, this.number));
  }

  #task(
    label: string,
    work: (side: Side) => Promise<unknown>,
    settle: (answer: unknown) => void = () => {},
  ): Task {
    return { by: this, control: true, label, work, seen: () => {}, settle, lose: () => {} };
  }

  /** Declared gone, it begins anew under another number. */
  startOver(number: number, at: number): Task {
    const old = this.number;
    for (const run of [...this.runs.values()]) run.leave();
    this.number = number;
    this.lost = false;
    this.renewed = { done: at, now: this.shared.now() };
    return this.release(old, false);
  }
}

function keysOf({ fenced, message }: Operation): string[] {
  return [fenced?.workflowID, message?.destination].filter((key) => typeof key === 'string');
}
