// Group commit: gathers what the workflows of this process want to write and sends it in flushes, at most two at a
// time. Operations of one workflow, and messages to one destination, commit in the order they came in: none enters
// a flush while an earlier one with the same key is in another. Nobody is answered before the commit.
//
//   queued ──► in flight ──► answered
//     ▲            │ connection lost, conflict: the same flush again, after a pause (reruns recognize themselves)
//     └── aside ◄──┤ lock timeout: what needs a row that somebody holds waits outside, the others go on at once;
//                  │   what inserts ids that others may be inserting goes on in flushes apart
//                  └ refused: halves; the one bad operation fails alone

import type { DatabaseUnavailableError } from '../errors/index.ts';
import type { Lane } from '../store/database.ts';
import { classifyFault, mayBeWritten, unavailable } from '../store/faults.ts';
import { flush } from '../store/flush.ts';
import { heldRows } from '../store/held-rows.ts';
import type { Aftermath, Answer, FlushResult, Operation } from '../store/operations.ts';
import type { Emitter } from '../telemetry/events.ts';
import { afterReading, createSilence } from './silence.ts';
import { describe, isOrdered, keysOf, rowsOf, size, splitByNewRows } from './operation-traits.ts';

export interface JournalOperation extends Operation {
  /** undefined: written. Called after the commit, in order of the operations. */
  settle(answer: Answer | undefined): void;
  /** Of a workflow from a queue: after each flush that ends some the process looks for the next ones. */
  undivided?: boolean;
  /** The database refused this very operation. */
  fail(error: unknown): void;
  /**
   * The caller of a request is told within seconds that the database is away. What never found a connection is dropped; what
   * was sent by then may have been written, so it is sent again until that is known: a start that is durable must run.
   */
  giveUp?(error: DatabaseUnavailableError): void;
  /** Of a request, by the journal. */
  addedAt?: number;
}

export interface Journal {
  add(operation: JournalOperation): void;
  /** Workflows whose starts are not answered yet: they may be durable. */
  starting(): string[];
  /** Resolves when nothing is queued or in flight. */
  drained(): Promise<void>;
  /** Drops what is queued and stops. */
  close(): void;
}

export interface JournalOptions {
  lanes: readonly Lane[];
  /** The lanes are one connection: what they share would only be two calls for one. */
  serial: boolean;
  /** Between here and the database. */
  roundTripMs: () => number;
  executor: () => number;
  events: Emitter;
  onAftermath: (aftermath: Aftermath) => void;
  /** Called when a flush fails for want of a database, and when one succeeds again. */
  onAvailability: (available: boolean, error?: unknown) => void;
}

const MAX_OPERATIONS = 500;
/** Far from the database, where two flushes of that size would spend most of their time on the way, so many times more. */
const MOST_TIMES = 5;
const NEAR_MS = 10;
/** With both lanes free, so many and more are shared by them: a hundred workflows at once are a fifth faster. */
const SHARED_FROM = 20;
const MAX_CHARACTERS = 4_000_000;
const PATIENCE_MS = 3000;
const MAX_PAUSE_MS = 2000;
const LOCK_PAUSE_MS = 250;

export function createJournal(options: JournalOptions): Journal {
  const { lanes, events } = options;
  const idle = [...lanes];
  const busy = new Map<string, number>();
  let queue: JournalOperation[] = [];
  let inFlight = 0;
  let scheduled = false;
  let closed = false;
  const aside = new Map<string, JournalOperation[]>();
  const wasAside = new WeakSet<JournalOperation>();
  /** Go into flushes of their own, one at a time. */
  const apart = new WeakSet<JournalOperation>();
  let apartInFlight = false;
  const starting = new Set<string>();
  let isAway = false;
  /** Were sent, and may have been written. */
  const inUnknown = new WeakSet<JournalOperation>();
  const told = new WeakSet<JournalOperation>();
  // Behind a server that says nothing at all requests wait no longer than in front of it.
  const silence = createSilence(lanes.length, PATIENCE_MS, (before) => {
    queue = withoutRequests(queue, undefined, before);
  });
  const waiters: (() => void)[] = [];

  const schedule = (): void => {
    if (scheduled || closed || idle.length === 0 || queue.length === 0) return;
    scheduled = true;
    // After the I/O of this turn: whatever the answers of one flush make workflows do goes into one next flush.
    setImmediate(launch);
  };

  const launch = (): void => {
    scheduled = false;
    const batch = take();
    if (batch.length === 0) return;
    const lane = idle.pop() as Lane;
    inFlight++;
    const isApart = apart.has(batch[0] as JournalOperation);
    apartInFlight ||= isApart;
    for (const operation of batch) hold(operation, 1);
    void send(lane, batch).finally(() => {
      if (isApart) apartInFlight = false;
      idle.push(lane);
      inFlight--;
      for (const operation of batch) hold(operation, -1);
      schedule();
      settled();
    });
    schedule();
  };

  const isSettled = (): boolean => inFlight === 0 && queue.length === 0 && aside.size === 0;

  const settled = (): void => {
    if (isSettled()) for (const waiter of waiters.splice(0)) waiter();
  };

  /** The next operations whose keys are free, in order. */
  const take = (): JournalOperation[] => {
    const batch: JournalOperation[] = [];
    const left: JournalOperation[] = [];
    const blocked = new Set<string>();
    const times = Math.floor(options.roundTripMs() / NEAR_MS);
    const most = MAX_OPERATIONS * Math.min(Math.max(1, times), MOST_TIMES);
    // Those who are answered together would ask together for ever, and the other lane would have nothing to do.
    const isShared = !options.serial && idle.length > 1 && queue.length >= SHARED_FROM;
    const half = isShared ? Math.ceil(queue.length / 2) : most;
    const mine = new Set<string>();
    let characters = 0;
    let i = 0;
    for (; i < queue.length && batch.length < most; i++) {
      const operation = queue[i] as JournalOperation;
      const source = operation.fenced?.workflowID;
      const destination = operation.message?.destination;
      const [first] = batch;
      const elsewhere =
        first === undefined
          ? apartInFlight && apart.has(operation)
          : apart.has(operation) !== apart.has(first);
      const theirs =
        batch.length >= half &&
        operation.undivided !== true &&
        !isOrdered(operation) &&
        !isIn(mine, source) &&
        !isIn(mine, destination);
      if (theirs || elsewhere || isHeld(source, blocked) || isHeld(destination, blocked)) {
        if (source !== undefined) blocked.add(source);
        if (destination !== undefined) blocked.add(destination);
        left.push(operation);
        continue;
      }
      characters += size(operation);
      if (characters > MAX_CHARACTERS && batch.length > 0) break;
      batch.push(operation);
      if (isShared) for (const key of keysOf(operation)) mine.add(key);
    }
    queue = left.length === 0 && i === queue.length ? [] : left.concat(queue.slice(i));
    return batch;
  };

  const isHeld = (key: string | undefined, blocked: Set<string>): boolean =>
    key !== undefined && (busy.has(key) || blocked.has(key));

  const isIn = (keys: Set<string>, key: string | undefined): boolean => key !== undefined && keys.has(key);

  const hold = (operation: JournalOperation, change: 1 | -1): void => {
    for (const key of keysOf(operation)) {
      const count = (busy.get(key) ?? 0) + change;
      if (count === 0) busy.delete(key);
      else busy.set(key, count);
    }
  };

  const send = async (lane: Lane, operations: readonly JournalOperation[]): Promise<void> => {
    const fresh = operations.filter((operation) => !joinAside(operation));
    const inDoubt = (operation: JournalOperation): boolean => wasAside.has(operation);
    let batch = fresh;
    const watched = events.has('journal.flushing') || events.has('journal.flushed');
    let impatient = false;
    let failure: unknown;
    let isOver = false;
    const lose = (): void => {
      if (isOver) return;
      impatient = true;
      for (const operation of batch) tellCaller(operation, failure);
      if (failure !== undefined) queue = withoutRequests(queue, failure);
      silence.look();
    };
    const patience = setTimeout(afterReading, PATIENCE_MS, lose);
    // What has been told by the time there is a connection is not sent any more.
    const wanted = (): boolean => !impatient || !batch.some(isDroppable);
    try {
      if (fresh.some(inDoubt)) batch = await withoutHeld(lane, fresh, inDoubt);
      for (let attempt = 0; batch.length > 0 && !closed; attempt++) {
        let result: FlushResult;
        let sentAt = 0;
        const entries = watched ? batch.map(describe) : [];
        try {
          if (watched) events.emit('journal.flushing', { operations: entries });
          sentAt = performance.now();
          silence.asked(lane);
          result = await flush(lane, options.executor(), batch, { careful: attempt > 0, wanted });
        } catch (error) {
          silence.answered(lane);
          const fault = classifyFault(error);
          if (fault === 'locked') {
            // Somebody may hold a request's row: an end does not wait for that.
            for (const operation of batch) operation.answer = undefined;
            const free = await withoutHeld(lane, batch, () => true);
            if (free.length < batch.length) {
              await send(lane, free);
              return;
            }
            const [sure, doubtful] = splitByNewRows(batch);
            if (sure.length > 0 && doubtful.length > 0) {
              for (const operation of doubtful) apart.add(operation);
              queue = doubtful.concat(queue);
              await send(lane, sure);
              return;
            }
          }
          if ((fault === 'refused' || fault === 'locked') && batch.length > 1) {
            const middle = batch.length >> 1;
            await send(lane, batch.slice(0, middle));
            await send(lane, batch.slice(middle));
            return;
          }
          if (fault === 'refused') {
            const [operation] = batch as [JournalOperation];
            forgetStart(operation);
            operation.fail(error);
            return;
          }
          if (fault === 'locked') {
            setAside(batch[0] as JournalOperation);
            return;
          }
          failure = error;
          if (fault === 'connection') {
            isAway = true;
            options.onAvailability(false, error);
            if (mayBeWritten(error)) for (const operation of batch) inUnknown.add(operation);
          }
          const pause = Math.min(MAX_PAUSE_MS, 10 * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random());
          await new Promise((resolve) => setTimeout(resolve, pause));
          if (impatient) {
            queue = withoutRequests(queue, error);
            batch = withoutRequests(batch, error);
          }
          continue;
        }
        silence.answered(lane);
        if (watched) events.emit('journal.flushed', { operations: entries });
        if (events.has('journal.measured'))
          events.emit('journal.measured', {
            operations: batch.length,
            durationMs: performance.now() - sentAt,
          });
        if (isAway) options.onAvailability(true);
        isAway = false;
        answer(batch, result);
        return;
      }
    } finally {
      clearTimeout(patience);
      isOver = true;
    }
  };

  /** What was never sent need not be: its caller is told, and it is dropped. */
  const withoutRequests = (
    operations: readonly JournalOperation[],
    error: unknown,
    addedBefore = Infinity,
  ): JournalOperation[] =>
    operations.filter((operation) => {
      if ((operation.addedAt ?? 0) > addedBefore) return true;
      tellCaller(operation, error);
      return !(isDroppable(operation) && forgetStart(operation));
    });

  const isDroppable = (operation: JournalOperation): boolean =>
    operation.giveUp !== undefined && !inUnknown.has(operation);

  /** True, for use in conditions. */
  const forgetStart = (operation: JournalOperation): true => {
    if (operation.start !== undefined) starting.delete(operation.start.workflowID);
    return true;
  };

  const settleOne = (operation: JournalOperation, given: Answer | undefined): void => {
    forgetStart(operation);
    operation.settle(given);
  };

  /** Outside of the retries: a fault in an answer must not send the operations again. */
  const answer = (operations: readonly JournalOperation[], result: FlushResult): void => {
    for (let i = 0; i < operations.length; i++) {
      try {
        settleOne(operations[i] as JournalOperation, result.answers[i]);
      } catch (error) {
        const text = 'A durable operation was written, but its answer was not taken';
        events.emit('remark', { level: 'error', text, error });
      }
    }
    if (result.fired || result.ready || result.hints.length > 0) options.onAftermath(result);
  };

  /** Sets aside those, of the ones in doubt, that touch a row which somebody holds; the rest is the answer. */
  const withoutHeld = async (
    lane: Lane,
    operations: JournalOperation[],
    inDoubt: (operation: JournalOperation) => boolean,
  ): Promise<JournalOperation[]> => {
    const rows = operations.filter(inDoubt).flatMap(rowsOf);
    if (rows.length === 0) return operations;
    // Without an answer the flush meets the same trouble, and deals with it.
    silence.asked(lane);
    const held = await heldRows(lane, rows).catch(() => new Set<string>());
    silence.answered(lane);
    return operations.filter((operation) => {
      if (joinAside(operation)) return false;
      if (!inDoubt(operation) || !rowsOf(operation).some((row) => held.has(row))) return true;
      setAside(operation);
      return false;
    });
  };

  /** Waits for somebody's lock outside of the lanes. What has a key in common waits behind it: nothing overtakes. */
  const setAside = (operation: JournalOperation): void => {
    const waiting: JournalOperation[] = [];
    join(waiting, operation);
    setTimeout(() => {
      for (const [key, list] of aside) if (list === waiting) aside.delete(key);
      for (const each of waiting) hold(each, -1);
      queue = waiting.concat(queue);
      if (closed) for (const each of waiting) tellCaller(each, undefined);
      schedule();
      settled();
    }, LOCK_PAUSE_MS);
  };

  const joinAside = (operation: JournalOperation): boolean => {
    if (aside.size === 0) return false;
    const waiting = keysOf(operation).findLast((key) => aside.has(key));
    if (waiting === undefined) return false;
    join(aside.get(waiting) as JournalOperation[], operation);
    return true;
  };

  /** All its keys wait with it, and stay held after its flush lets go of them. */
  const join = (waiting: JournalOperation[], operation: JournalOperation): void => {
    for (const key of keysOf(operation)) aside.set(key, waiting);
    waiting.push(operation);
    wasAside.add(operation);
    hold(operation, 1);
  };

  /** If it is a request. */
  const tellCaller = (operation: JournalOperation, error: unknown): void => {
    if (told.has(operation)) return;
    told.add(operation);
    operation.giveUp?.(unavailable(error));
  };

  return {
    add: (operation) => {
      if (closed) return;
      if (operation.start !== undefined) starting.add(operation.start.workflowID);
      if (operation.giveUp !== undefined) operation.addedAt = performance.now();
      queue.push(operation);
      schedule();
    },
    starting: () => [...starting],
    drained: () => (isSettled() ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve))),
    close: () => {
      closed = true;
      for (const operation of [...queue, ...new Set([...aside.values()].flat())])
        tellCaller(operation, undefined);
      queue = [];
      for (const waiter of waiters.splice(0)) waiter();
    },
  };
}
