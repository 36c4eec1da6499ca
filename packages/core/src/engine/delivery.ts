// The order in which an activation hears of results. Ids taken in call order do not make concurrency replayable:
// in Promise.all over chains, which branch goes on first decides who takes the next id. So every result has a seq;
// live results are delivered strictly in seq order, recorded ones are replayed in seq order, and between two
// deliveries lies a turn of the event loop, in which all that the first one set off takes its ids.
//
//   live:    reserve() ─► resolve(slot) ─┐                       replay:  arrive(stepID)
//                        drop(slot) ─────┴► pump, in seq order            one recorded row per turn, in seq order;
//                                                                         live results wait until all are through

import type { JournalRow } from '../store/lifecycle.ts';

/** Counts turns of the event loop in which something was delivered. One for all activations. */
export class Turns {
  current = 0;
  #scheduled = false;
  #waiting: Delivery[] = [];

  /** The next turn comes; `delivery` wants to be told. */
  request(delivery?: Delivery): void {
    if (delivery !== undefined) this.#waiting.push(delivery);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.current++;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const delivery of waiting) delivery.onTurn();
    });
  }
}

export interface Slot {
  readonly seq: number;
  settle: (() => void) | undefined;
  dropped: boolean;
}

const STALL_MS = 2000;

export class Delivery {
  readonly #turns: Turns;
  readonly #onStall: (row: JournalRow) => void;
  readonly #slots: Slot[] = [];
  readonly #recorded: readonly JournalRow[];
  /** Calls of recorded results. */
  #arrived: Map<number, () => void> | undefined;
  #next = 0;
  #lastSeq = 0;
  #lastTurn = -1;
  #requested = false;
  #stall: NodeJS.Timeout | undefined;
  #closed = false;
  #live: boolean;

  /** `journal`: all rows that recovery found, in any order. `live`: no other run was here before. */
  constructor(
    turns: Turns,
    journal: readonly JournalRow[],
    onStall: (row: JournalRow) => void,
    live = journal.length === 0,
  ) {
    this.#turns = turns;
    this.#live = live;
    this.#onStall = onStall;
    this.#recorded =
      journal.length === 0
        ? journal
        : journal
            .filter((row) => row.completed)
            .sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0) || a.stepID - b.stepID);
    for (const row of this.#recorded) this.#lastSeq = Math.max(this.#lastSeq, row.seq ?? 0);
  }

  /** Results that are replayed. */
  get recorded(): number {
    return this.#recorded.length;
  }

  /**
   * Past all that an earlier run can have done. Behind the last recorded result that one may have gone on, up to its
   * next call; what it was told then is not recorded, so what comes after a live result is new.
   */
  get live(): boolean {
    return this.#live;
  }

  /** A call was made that is not recorded. */
  calledLive(): void {
    if (!this.replaying) this.#live = true;
  }

  /** Recorded results that were not delivered yet. */
  get replaying(): boolean {
    return this.#next < this.#recorded.length;
  }

  /** A recorded result whose call was not made, if there is one. */
  get uncalled(): JournalRow | undefined {
    for (let i = this.#next; i < this.#recorded.length; i++) {
      const row = this.#recorded[i] as JournalRow;
      if (this.#arrived?.has(row.stepID) !== true) return row;
    }
    return undefined;
  }

  /** Takes the next place in the order, before the write that will hold its seq. */
  reserve(): Slot {
    const slot: Slot = { seq: ++this.#lastSeq, settle: undefined, dropped: false };
    this.#slots.push(slot);
    return slot;
  }

  resolve(slot: Slot, settle: () => void): void {
    slot.settle = settle;
    this.#pump();
  }

  /** Nothing was recorded under this seq after all. */
  drop(slot: Slot): void {
    slot.dropped = true;
    this.#pump();
  }

  /** The call of a recorded result was made. */
  arrive(stepID: number, settle: () => void): void {
    (this.#arrived ??= new Map()).set(stepID, settle);
    this.#request();
  }

  onTurn(): void {
    this.#requested = false;
    if (this.#closed) return;
    if (this.replaying) {
      const row = this.#recorded[this.#next] as JournalRow;
      const settle = this.#arrived?.get(row.stepID);
      if (settle === undefined) {
        this.#watchForStall(row);
        return;
      }
      this.#next++;
      this.#arrived?.delete(row.stepID);
      this.#lastTurn = this.#turns.current;
      settle();
      this.#request();
      return;
    }
    this.#pump();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#stall);
    this.#slots.length = 0;
    this.#arrived?.clear();
  }

  #request(): void {
    if (this.#requested) return;
    this.#requested = true;
    this.#turns.request(this);
  }

  #pump(): void {
    const slots = this.#slots;
    while (slots.length > 0 && !this.#closed) {
      const slot = slots[0] as Slot;
      if (slot.dropped) {
        slots.shift();
        continue;
      }
      if (slot.settle === undefined) return;
      if (this.replaying || this.#lastTurn === this.#turns.current) {
        this.#request();
        return;
      }
      slots.shift();
      this.#lastTurn = this.#turns.current;
      this.#turns.request();
      this.#live = true;
      slot.settle();
    }
  }

  /** Other results wait for a recorded one that nobody calls for: the code is not the one that recorded it. */
  #watchForStall(row: JournalRow): void {
    const others = (this.#arrived?.size ?? 0) > 0 || this.#slots.some((slot) => slot.settle !== undefined);
    if (this.#stall !== undefined || !others) return;
    const at = this.#next;
    this.#stall = setTimeout(() => {
      this.#stall = undefined;
      if (!this.#closed && this.#next === at && this.#arrived?.has(row.stepID) !== true) this.#onStall(row);
    }, STALL_MS);
  }
}
