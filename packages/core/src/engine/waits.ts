// Waits for messages, events, results and time. The first look takes what is there and leaves a row with the
// deadline; after that the wait sits in memory until somebody pokes it or its time comes, and looks again.
//
//   looking ──► done       the value was there, or the deadline had passed
//      │  ▲
//      ▼  │ poked, due
//   waiting                 parked with its activation after a while (parking.ts)

import type { Awaited } from '../store/executors.ts';
import type { JournalRow } from '../store/lifecycle.ts';
import type { Answer, WaitPart } from '../store/operations.ts';
import type { Activation } from './activation.ts';
import type { EngineHost } from './host.ts';
import type { Outcome } from './outcome.ts';
import { considerParking } from './parking.ts';
import { record, type Recorded, refused, replay, stepPart } from './record.ts';

/** What would end a wait, as a key of the index. */
export const waitKeys = {
  message: (destination: string, topic: string) => `m ${destination}\0${topic}`,
  event: (workflowID: string, key: string) => `e ${workflowID}\0${key}`,
  result: (workflowID: string) => `r ${workflowID}`,
};

/** The waits of this process by what would end them. */
export class WaitIndex {
  readonly #byKey = new Map<string, Set<Wait>>();

  add(wait: Wait): void {
    if (wait.key === undefined) return;
    const set = this.#byKey.get(wait.key);
    if (set === undefined) this.#byKey.set(wait.key, new Set([wait]));
    else set.add(wait);
  }

  remove(wait: Wait): void {
    if (wait.key === undefined) return;
    const set = this.#byKey.get(wait.key);
    if (set?.delete(wait) && set.size === 0) this.#byKey.delete(wait.key);
  }

  /** Something that may end these waits is durable. */
  poke(key: string): void {
    for (const wait of [...(this.#byKey.get(key) ?? [])]) wait.poke();
  }

  /** A workflow of this process ended; its waiters need not ask the database. */
  pokeResult(workflowID: string, outcome: Outcome): void {
    for (const wait of [...(this.#byKey.get(waitKeys.result(workflowID)) ?? [])]) wait.pokeResult(outcome);
  }

  /** A workflow left this process without an end: those who relied on hearing of it here ask the database. */
  unlocal(workflowID: string): void {
    for (const wait of [...(this.#byKey.get(waitKeys.result(workflowID)) ?? [])]) wait.unlocal();
  }

  /** What these waits are for, as far as it may happen in another process. */
  awaited(): Awaited {
    const messages: { workflowID: string; topic: string }[] = [];
    const results: string[] = [];
    const events: { workflowID: string; key: string }[] = [];
    for (const [key, waits] of this.#byKey) {
      const about = key.slice(2);
      const cut = about.indexOf('\0');
      if (key.startsWith('m '))
        messages.push({ workflowID: about.slice(0, cut), topic: about.slice(cut + 1) });
      else if (key.startsWith('e '))
        events.push({ workflowID: about.slice(0, cut), key: about.slice(cut + 1) });
      else if ([...waits].some((wait) => !wait.local)) results.push(about);
    }
    return { messages, results, events };
  }
}

export interface WaitOptions {
  part: WaitPart;
  key: string | undefined;
  /** Runs when the result is durable and its turn has come. */
  deliver: (recorded: Recorded) => void;
  reject: (error: unknown) => void;
}

/** A durable wait: call, replay or look. */
export function wait(host: EngineHost, activation: Activation, options: WaitOptions): void {
  const stepID = activation.takeStepID();
  const { kind, name, target } = options.part;
  const row = activation.recorded(stepID, kind, name, target);
  if (row === 'refused') return;
  if (row?.completed) {
    replay(activation, row, options.deliver);
    return;
  }
  new Wait(host, activation, stepID, options).begin(row);
}

export class Wait {
  readonly key: string | undefined;
  readonly part: WaitPart;
  /** Waits for a workflow that runs in this very process; the database knows nothing of it. */
  local = false;
  state: 'looking' | 'waiting' | 'done' = 'looking';
  /** By the estimated clock of the database; null: for ever. */
  deadline: number | null = null;
  readonly #host: EngineHost;
  readonly #activation: Activation;
  readonly #stepID: number;
  readonly #options: WaitOptions;
  /** When this run began to wait, by this machine's clock. */
  readonly #since = Date.now();
  #again = false;
  #stopAlarm: (() => void) | undefined;

  constructor(host: EngineHost, activation: Activation, stepID: number, options: WaitOptions) {
    this.#host = host;
    this.#activation = activation;
    this.#stepID = stepID;
    this.#options = options;
    this.part = options.part;
    this.key = options.key;
  }

  begin(row: JournalRow | undefined): void {
    this.#activation.waits.add(this);
    this.#host.waits.add(this);
    const { kind, target, timeoutMs } = this.part;
    if (
      kind === 'getResult' &&
      row === undefined &&
      timeoutMs === null &&
      this.#host.activations.get(target as string)?.state === 'running'
    ) {
      this.local = true;
      this.#sit();
    } else this.look();
  }

  /** Something happened that may end this wait. */
  poke(): void {
    if (this.state === 'looking') this.#again = true;
    else if (this.state === 'waiting') this.look();
  }

  pokeResult(outcome: Outcome): void {
    if (this.state !== 'waiting') {
      this.poke();
      return;
    }
    this.#finish();
    const { kind, name, target } = this.part;
    record(this.#host, {
      activation: this.#activation,
      stepID: this.#stepID,
      step: stepPart({
        kind,
        name,
        target,
        output: outcome.output,
        error: outcome.error,
        outcome: outcome.status,
        begun: !this.local,
      }),
      keep: false,
      deliver: this.#options.deliver,
      reject: this.#options.reject,
    });
  }

  /** The awaited workflow left this process without an end. */
  unlocal(): void {
    if (this.local && this.state === 'waiting') this.look();
  }

  look(): void {
    const activation = this.#activation;
    if (activation.state !== 'running' || this.#host.draining) return;
    this.#stopWaiting();
    this.state = 'looking';
    this.local = false;
    const slot = activation.delivery.reserve();
    activation.pending++;
    this.#host.journal.add({
      fenced: {
        workflowID: activation.workflowID,
        fence: activation.fence,
        stepID: this.#stepID,
        seq: slot.seq,
        keep: false,
      },
      wait: this.part,
      settle: (answer) => {
        activation.pending--;
        if (answer?.outcome === 'value' || answer?.outcome === 'adopted') {
          this.#finish();
          activation.delivery.resolve(slot, () => this.#deliver(answer));
          return;
        }
        activation.delivery.drop(slot);
        if (answer?.outcome === 'wait') this.#stay(answer);
        else if (answer !== undefined) {
          this.#finish();
          refused(this.#host, activation, answer, this.#options.reject);
        }
      },
      fail: (error) => {
        activation.pending--;
        activation.delivery.drop(slot);
        this.#finish();
        this.#options.reject(error);
      },
    });
  }

  /** The activation was cancelled (with a reason) or is over. */
  abandon(reason: unknown): void {
    if (this.state === 'done') return;
    this.#finish();
    if (reason !== undefined) this.#options.reject(reason);
  }

  #stay(answer: Answer): void {
    if (this.state === 'done') return;
    this.deadline = answer.at;
    if (this.#again) {
      this.#again = false;
      this.look();
      return;
    }
    this.#sit();
  }

  #deliver({ output, error, detail }: Answer): void {
    const { kind, target } = this.part;
    if (kind !== 'recv') {
      this.#options.deliver({ output, error, outcome: detail });
      return;
    }
    const { events } = this.#host;
    const timedOut = detail === 'timeout';
    if (events.has('message.received'))
      events.emit('message.received', {
        run: this.#activation,
        topic: target ?? '',
        timedOut,
        since: this.#since,
        trace: timedOut ? undefined : (detail ?? undefined),
      });
    this.#options.deliver({ output, error, outcome: timedOut ? detail : null });
  }

  #sit(): void {
    this.state = 'waiting';
    if (this.deadline !== null) this.#stopAlarm = this.#host.clock.alarm(this.deadline, () => this.poke());
    considerParking(this.#host, this.#activation);
  }

  #stopWaiting(): void {
    this.#stopAlarm?.();
    clearTimeout(this.#activation.parkTimer);
    this.#activation.parkTimer = undefined;
  }

  #finish(): void {
    this.state = 'done';
    this.#stopWaiting();
    this.#activation.waits.delete(this);
    this.#host.waits.remove(this);
    considerParking(this.#host, this.#activation);
  }
}
