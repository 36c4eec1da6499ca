// Kills the process at a named point of a workflow's life, to test what comes after. Listens to the engine's
// events and to nothing else: without it there is no trace of it in what runs in production.

import { internals } from '../app/internals.ts';
import type { Pawl } from '../app/pawl.ts';
import { ConfigurationError } from '../errors/index.ts';
import type { EngineEvents } from '../telemetry/events.ts';

/**
 * - `before-function`: a step or transaction is about to run its function
 * - `after-function`: it returned or threw; nothing is written
 * - `before-commit`: the write is about to be sent; of a transaction, its COMMIT
 * - `commit-unanswered`: the write was sent, its answer is not waited for: it may or may not be durable
 * - `after-commit`: the write is durable, nobody was told
 */
export type CrashMoment =
  | 'before-function'
  | 'after-function'
  | 'before-commit'
  | 'commit-unanswered'
  | 'after-commit';

/** Which operation, and when. What is left out fits everything. */
export interface CrashPoint {
  when: CrashMoment;
  /**
   * step, transaction, sleep, setEvent, send, recv, getEvent, start, getResult, now, randomUUID, …; `end` is the end
   * of a workflow, `park` its leaving memory, `message` a message from outside of workflows.
   */
  kind?: string;
  /** The name of the step or workflow, the topic, the key. */
  name?: string;
  workflowID?: string;
  /** The first time that the point is reached, the second, … Default 1. A wait is written twice: when it begins and when it ends. */
  nth?: number;
}

interface Place {
  workflowID: string;
  kind: string;
  name: string | null;
}

const WITH_FUNCTION = new Set(['step', 'transaction', 'call', 'debounce']);

/**
 * Ends this process with SIGKILL when the workflows of `pawl` reach `point`: no handler runs, nothing is flushed,
 * closed or handed over. Call it before or after `launch`, in a process that a test started.
 *
 * @returns takes the point away again
 * @throws ConfigurationError for a point that cannot be reached
 * @example
 * // in the child process of a test: dies when the card was charged and nobody wrote it down
 * crashAt(pawl, { when: 'after-function', kind: 'step', name: 'charge' });
 * await pawl.launch();
 */
export function crashAt(pawl: Pawl, point: CrashPoint): () => void {
  return reach(pawl, point, () => process.kill(process.pid, 'SIGKILL'));
}

/** The same with another end than that of the process. */
export function reach(pawl: Pawl, point: CrashPoint, crash: () => void): () => void {
  const { when, kind, nth = 1 } = point;
  if (!Number.isInteger(nth) || nth < 1) {
    throw new ConfigurationError(`nth of a crash point must be a whole number from 1, not ${String(nth)}.`);
  }
  if (when.endsWith('-function') && kind !== undefined && !WITH_FUNCTION.has(kind)) {
    throw new ConfigurationError(
      `A crash point "${when}" of "${kind}" is never reached: only steps and transactions run a function.`,
    );
  }
  const { events } = internals(pawl);
  let left = nth;
  const pass = (places: readonly Place[]): void => {
    for (const place of places) {
      if (kind !== undefined && place.kind !== kind) continue;
      if (point.name !== undefined && place.name !== point.name) continue;
      if (point.workflowID !== undefined && place.workflowID !== point.workflowID) continue;
      if (--left !== 0) continue;
      if (when === 'commit-unanswered') endOfTurn(crash);
      else crash();
    }
  };
  const one = (event: EngineEvents['step.started']) => pass([event]);
  const many = (event: EngineEvents['journal.flushing']) => pass(event.operations);
  const subscriptions = {
    'before-function': () => [events.on('step.started', one)],
    'after-function': () => [events.on('step.ended', one)],
    'before-commit': () => [events.on('journal.flushing', many), events.on('transaction.committing', one)],
    'commit-unanswered': () => [
      events.on('journal.flushing', many),
      events.on('transaction.committing', one),
    ],
    'after-commit': () => [events.on('journal.flushed', many), events.on('transaction.committed', one)],
  }[when]?.();
  if (subscriptions === undefined) throw new ConfigurationError(`There is no crash point "${when}".`);
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe();
  };
}

/** The statement is handed to the connection in this turn of the event loop; an answer can come in the next at best. */
function endOfTurn(then: () => void): void {
  queueMicrotask(() => process.nextTick(() => process.nextTick(then)));
}
