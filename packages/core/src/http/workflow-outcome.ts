// Owns waiting for what a response needs of a workflow: its end, or an event that it sets before.
// Never cancels or changes the workflow; a wait that ends early leaves nothing behind.
import { internals } from '../app/internals.ts';
import type { Pawl } from '../app/pawl.ts';
import type { WorkflowState } from '../app/status.ts';
import type { EventKey } from '../app/topics.ts';
import type { WorkflowHandle } from '../app/handles.ts';
import { readEvent } from '../store/event-feed.ts';

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
 */
export async function awaitOutcome(
  pawl: Pawl,
  handle: WorkflowHandle<unknown>,
  event: string | EventKey<unknown> | undefined,
  seconds: number,
): Promise<AwaitedOutcome> {
  const ended = awaitEnd(handle, seconds);
  if (event === undefined) return ended;
  const { workflowID } = handle;
  const happened = pawl.getEvent(workflowID, event, seconds);
  // Whichever comes second is no longer waited for.
  happened.catch(() => undefined);
  ended.catch(() => undefined);
  await Promise.race([happened, ended]);
  const set = await eventValue(pawl, workflowID, event, 'first');
  return set ?? ended;
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

async function awaitEnd(handle: WorkflowHandle<unknown>, seconds: number): Promise<AwaitedOutcome> {
  if (seconds > 0) {
    try {
      return { kind: 'value', value: await handle.getResult({ timeoutSeconds: seconds }) };
    } catch {
      // Its own error or the end of our patience: its status tells them apart.
    }
  }
  const now = await handle.getStatus();
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
