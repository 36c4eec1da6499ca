// Owns waiting for what a response needs of a workflow: its end, or an event that it sets before.
// Never cancels or changes the workflow; a wait that ends early leaves nothing behind.
import type { Pawl } from '../app/pawl.ts';
import type { EventKey, WorkflowHandle } from '../index.ts';

export type Outcome<Value> =
  | { readonly kind: 'value'; readonly value: Value }
  /** The workflow ended with an error, for good. */
  | { readonly kind: 'error'; readonly error: unknown }
  /** It was stopped from outside and may yet be resumed. */
  | { readonly kind: 'stopped'; readonly status: 'CANCELLED' | 'MAX_RECOVERY_ATTEMPTS_EXCEEDED' }
  | { readonly kind: 'pending' };

/** Waits at most `seconds`. With an event, the first of both counts: a workflow may end without having set it. */
export async function awaitOutcome<R, Value = R>(
  pawl: Pawl,
  handle: WorkflowHandle<R>,
  event: string | EventKey<Value> | undefined,
  seconds: number,
): Promise<Outcome<Value>> {
  const ended = awaitEnd<R, Value>(handle, seconds);
  if (event === undefined) return ended;
  const happened = eventValue(pawl, handle.workflowID, event, seconds);
  happened.catch(() => undefined);
  ended.catch(() => undefined);
  const first = await Promise.race([
    happened.then((outcome) => ({ outcome, isEvent: true })),
    ended.then((outcome) => ({ outcome, isEvent: false })),
  ]);
  if (first.isEvent && first.outcome.kind === 'value') return first.outcome;
  // The end was seen first, or the patience for the event ended: an event that was set still comes before the end.
  const set = await eventValue(pawl, handle.workflowID, event, 0);
  return set.kind === 'value' ? set : ended;
}

async function eventValue<Value>(
  pawl: Pawl,
  workflowID: string,
  event: string | EventKey<Value>,
  seconds: number,
): Promise<Outcome<Value>> {
  const value = await pawl.getEvent<Value>(workflowID, event, seconds);
  return value === null ? { kind: 'pending' } : { kind: 'value', value };
}

async function awaitEnd<R, Value>(handle: WorkflowHandle<R>, seconds: number): Promise<Outcome<Value>> {
  try {
    return { kind: 'value', value: (await handle.getResult({ timeoutSeconds: seconds })) as unknown as Value };
  } catch (error) {
    const status = (await handle.getStatus())?.status;
    if (status === 'ERROR') return { kind: 'error', error };
    if (status === 'CANCELLED' || status === 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') return { kind: 'stopped', status };
    return { kind: 'pending' };
  }
}
