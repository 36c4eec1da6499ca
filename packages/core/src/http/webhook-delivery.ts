// Owns the delivery of one verified event, once: as a message, or as the start of a workflow.
// The event's id is the idempotency key of the insert itself; the record beside it only tells a repetition apart,
// so that the sender hears of it, and outlives the message.
import type { Topic } from '../app/topics.ts';
import type { Workflow } from '../app/workflows.ts';
import { NonExistentWorkflowError } from '../errors/index.ts';
import { digest } from './digest.ts';
import type { HttpContext } from './http-context.ts';
import { hasEnded } from './workflow-outcome.ts';

/** Where an event goes. */
export type WebhookRoute =
  | { readonly workflowID: string; readonly topic?: string | Topic<unknown>; readonly message?: unknown }
  | {
      readonly start: Workflow<unknown[], unknown> | Workflow<[never], unknown> | string;
      readonly input?: unknown;
      /** Default: derived from the webhook's name and the event's id. */
      readonly workflowID?: string;
    };

export interface DeliveryOrder {
  readonly name: string;
  readonly eventID: string;
  readonly data: unknown;
  readonly target: WebhookRoute;
  readonly park: boolean;
}

export type DeliveryOutcome = 'delivered' | 'duplicate' | 'finished' | 'unknown' | 'busy';

/** Senders retry for days; stripe for three, others for longer. */
const RETENTION_MS = 14 * 86_400_000;
const LEASE_MS = 10_000;
const BUSY_TRIES = 40;
const BUSY_PAUSE_MS = 100;

export async function deliver<Req>(http: HttpContext<Req>, order: DeliveryOrder): Promise<DeliveryOutcome> {
  const id = digest(['webhook', order.name, order.eventID]);
  // Another delivery of the event may be under way at this moment: its outcome is ours.
  for (let tries = 0; tries < BUSY_TRIES; tries += 1) {
    const claim = await http.ledger.claim({ id, fingerprint: 'webhook', leaseMs: LEASE_MS });
    if (claim.kind === 'done') return 'duplicate';
    if (claim.kind !== 'running') {
      try {
        const outcome = await insert(http, order);
        await http.ledger
          .settle(claim, outcome === 'unknown' ? { kind: 'failed' } : { kind: 'unavailable' }, RETENTION_MS)
          .catch(() => undefined);
        return outcome;
      } catch (error) {
        await http.ledger.settle(claim, { kind: 'failed' }, RETENTION_MS).catch(() => undefined);
        throw error;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS));
  }
  return 'busy';
}

async function insert<Req>({ pawl }: HttpContext<Req>, order: DeliveryOrder): Promise<DeliveryOutcome> {
  const { target } = order;
  const idempotencyKey = digest(['webhook', order.name, order.eventID]);
  if ('start' in target) {
    const workflowID = target.workflowID ?? `webhook-${idempotencyKey}`;
    const input = 'input' in target ? target.input : order.data;
    await pawl.startWorkflow(target.start as Workflow<[unknown], unknown>, { workflowID })(input);
    return 'delivered';
  }
  const message = 'message' in target ? target.message : order.data;
  try {
    await pawl.send(target.workflowID, message, target.topic, {
      idempotencyKey,
      onMissing: order.park ? 'park' : 'error',
    });
  } catch (error) {
    if (error instanceof NonExistentWorkflowError) return 'unknown';
    throw error;
  }
  const status = await pawl.getWorkflowStatus(target.workflowID);
  return status !== null && hasEnded(status.status) ? 'finished' : 'delivered';
}
