// What the journal has to know of an operation: what it shares with others, what it touches, how large it is.

import type { Operation } from '../store/operations.ts';
import type { JournalEntry } from '../telemetry/events.ts';

/** Operations that share one of these commit in the order they came in. */
export function keysOf(operation: Operation): string[] {
  const source = operation.fenced?.workflowID;
  const destination = operation.message?.destination;
  if (source === undefined) return destination === undefined ? [] : [destination];
  return destination === undefined ? [source] : [source, destination];
}

/** Which of them is first matters beside their keys: their places in a queue, or who gets an id that was chosen. */
export function isOrdered({ start }: Operation): boolean {
  return start !== undefined && (start.chosen || start.queued !== undefined);
}

/** Workflows whose rows its flush locks. */
export function rowsOf({ fenced, start, message, wait, park }: Operation): string[] {
  const target = wait !== undefined && wait.kind !== 'recv' ? wait.target : undefined;
  return [fenced?.workflowID, start?.workflowID, message?.destination, target, ...(park ?? [])].filter(
    (id) => typeof id === 'string',
  );
}

/** Which ids somebody is about to insert is not to be seen: what may wait for one of those, and what comes after it. */
export function splitByNewRows<T extends Operation>(operations: readonly T[]): [T[], T[]] {
  const sure: T[] = [];
  const doubtful: T[] = [];
  const behind = new Set<string>();
  for (const operation of operations) {
    const keys = keysOf(operation);
    if (operation.start?.chosen || operation.message?.park || keys.some((key) => behind.has(key))) {
      for (const key of keys) behind.add(key);
      doubtful.push(operation);
    } else sure.push(operation);
  }
  return [sure, doubtful];
}

export function size(operation: Operation): number {
  return (
    (operation.step?.output?.length ?? 0) +
    (operation.step?.error?.length ?? 0) +
    (operation.start?.input?.length ?? 0) +
    (operation.end?.output?.length ?? 0) +
    (operation.end?.error?.length ?? 0) +
    (operation.answer?.body.length ?? 0) +
    (operation.event?.value?.length ?? 0) +
    (operation.entry?.value?.length ?? 0) +
    (operation.message?.body?.length ?? 0)
  );
}

export function describe(operation: Operation): JournalEntry {
  const workflowID =
    operation.fenced?.workflowID ?? operation.start?.workflowID ?? operation.message?.destination ?? '';
  if (operation.end) return { workflowID, kind: 'end', name: null };
  if (operation.park) return { workflowID, kind: 'park', name: null };
  if (operation.step) return { workflowID, kind: operation.step.kind, name: operation.step.name };
  if (operation.wait)
    return { workflowID, kind: operation.wait.kind, name: operation.wait.name ?? operation.wait.target };
  return { workflowID, kind: operation.start ? 'start' : 'message', name: operation.start?.name ?? null };
}
