// Owns waiting for what a response needs of a workflow: its end, or an event that it sets before.
// Never cancels or changes the workflow; a wait that ends early leaves nothing behind.
import { internals } from '../app/internals.ts';
import type { Pawl } from '../app/pawl.ts';
import type { WorkflowState, WorkflowStatus } from '../app/status.ts';
import type { EventKey } from '../app/topics.ts';
import type { WorkflowHandle } from '../app/handles.ts';
import { readEvent } from '../store/feeds.ts';
import { createBell } from '../app/bell.ts';

export type Outcome =
  | { readonly kind: 'value'; readonly value: unknown }
  /** The workflow ended with an error, for good. */
  | { readonly kind: 'error'; readonly error: unknown }
  /** It was stopped from outside and may yet be resumed. */
  | { readonly kind: 'stopped'; readonly status: 'CANCELLED' | 'MAX_RECOVERY_ATTEMPTS_EXCEEDED' };

export type AwaitedOutcome = Outcome | { readonly kind: 'pending' };

export function hasEnded(state: WorkflowState): boolean {
  return (
    state === 'SUCCESS' ||
    state === 'ERROR' ||
    state === 'CANCELLED' ||
    state === 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'
  );
}

/**
 * Waits at most `seconds`. With an event, the first of both counts, but an event that was set comes before the end, and
 * its first value before later ones: so the outcome does not depend on who looks when. A workflow may end without it.
 * `closed` ends the wait early.
 */
export async function awaitOutcome(
  pawl: Pawl,
  handle: WorkflowHandle<unknown>,
  event: string | EventKey<unknown> | undefined,
  seconds: number,
  closed?: AbortSignal,
): Promise<AwaitedOutcome> {
  const { workflowID } = handle;
  const ended = seconds > 0 ? await somethingHappens(pawl, workflowID, event, seconds, closed) : undefined;
  const set = event === undefined ? undefined : await eventValue(pawl, workflowID, event, 'first');
  return set ?? ended ?? outcomeOf(await handle.getStatus());
}

/**
 * Resolves when the workflow ends or sets the event, the time is over or the client gone, and leaves nothing behind.
 * Says how it ended if that came first.
 */
async function somethingHappens(
  pawl: Pawl,
  workflowID: string,
  awaited: string | EventKey<unknown> | undefined,
  seconds: number,
  closed: AbortSignal | undefined,
): Promise<Outcome | undefined> {
  const { runtime, codec } = internals(pawl);
  const key = typeof awaited === 'string' ? awaited : awaited?.name;
  const end = runtime.outcome(workflowID);
  const event = key === undefined ? undefined : runtime.event(workflowID, key);
  const bell = createBell();
  closed?.addEventListener('abort', bell.ring);
  if (closed?.aborted) bell.ring();
  try {
    const ended = end.promise.then(({ status, output, error }): Outcome | undefined => {
      if (status === 'SUCCESS') return { kind: 'value', value: codec.decode(output) };
      return status === 'ERROR' ? { kind: 'error', error: codec.decodeError(error ?? 'null') } : undefined;
    });
    const others = [bell.wait(seconds * 1_000), ...(event === undefined ? [] : [event.promise])];
    return await Promise.race([ended, ...others.map((other) => other.then(() => undefined))]);
  } finally {
    end.abandon();
    event?.abandon();
    closed?.removeEventListener('abort', bell.ring);
    bell.ring();
  }
}

/** A value that the workflow has set, without waiting for one. */
export async function eventValue(
  pawl: Pawl,
  workflowID: string,
  event: string | EventKey<unknown>,
  which: 'first' | 'latest',
): Promise<{ readonly kind: 'value'; readonly value: unknown } | undefined> {
  const { database, codec } = internals(pawl);
  const key = typeof event === 'string' ? event : event.name;
  const row = await readEvent(database, { workflowID, key }, which);
  return row === undefined ? undefined : { kind: 'value', value: codec.decode(row.value) };
}

/** What a status says of the end. */
export function outcomeOf(now: WorkflowStatus | null): AwaitedOutcome {
  switch (now?.status) {
    case 'SUCCESS':
      return { kind: 'value', value: now.output };
    case 'ERROR':
      return { kind: 'error', error: now.error };
    case 'CANCELLED':
    case 'MAX_RECOVERY_ATTEMPTS_EXCEEDED':
      return { kind: 'stopped', status: now.status };
    default:
      return { kind: 'pending' };
  }
}
