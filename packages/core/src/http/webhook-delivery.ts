// Owns the delivery of one verified event, once: as a message, or as the start of a workflow.
// The event's id is the key of a row in the same transaction as the message or the start, so that either both are
// there or neither. That row outlives the workflow and its messages, and tells repetitions apart.
import { internals } from '../app/internals.ts';
import type { Topic } from '../app/topics.ts';
import type { Workflow } from '../app/workflows.ts';
import type { WorkflowState } from '../app/status.ts';
import type { SqlClient } from '../engine/transactions.ts';
import { waitKeys } from '../engine/waits.ts';
import { NonExistentWorkflowError, ValidationError } from '../errors/index.ts';
import { classifyFault } from '../store/faults.ts';
import { readDestination, takeEvent } from '../store/hooks.ts';
import { digest } from './digest.ts';
import type { HttpContext } from './http-context.ts';
import { within } from './ledger.ts';
import { hasEnded } from './workflow-outcome.ts';

/** Where an event goes. */
export type WebhookRoute =
  | {
      readonly workflowID: string;
      /** Default: none; `recv()` without a topic gets it. */
      readonly topic?: string | Topic<unknown>;
      /** Default: the event's `data`. */
      readonly message?: unknown;
    }
  | {
      readonly start: Workflow<unknown[], unknown> | Workflow<[never], unknown> | string;
      /** Default: the event's `data`. */
      readonly input?: unknown;
      /** Default: derived from the webhook's name and the event's id. One that is there is left as it is. */
      readonly workflowID?: string;
    };

export interface DeliveryOrder {
  readonly name: string;
  readonly eventID: string;
  readonly data: unknown;
  readonly target: WebhookRoute;
  readonly park: boolean;
}

type Inserted = 'delivered' | 'duplicate' | 'finished';
/** `invalid`: not as the schema of the topic, or of the workflow's input, says; or no id that a workflow can have. */
export type DeliveryOutcome = Inserted | 'unknown' | 'busy' | { readonly invalid: ValidationError };

/** Senders try again for days: Stripe for three, Svix for one and a bit; by hand for longer. */
const RETENTION_MS = 14 * 86_400_000;
const DEADLINE_MS = 2_500;

/** @throws DatabaseUnavailableError within three seconds; what was not acknowledged then may be durable all the same */
export async function deliver<Req>(http: HttpContext<Req>, order: DeliveryOrder): Promise<DeliveryOutcome> {
  const { runtime } = internals(http.pawl);
  http.ledger.sweepNowAndThen();
  const id = digest(['webhook', order.name, order.eventID]);
  let tell = (): void => {};
  const transaction = http.pawl.runTransaction(async (tx): Promise<Inserted> => {
    if (!(await takeEvent(runtime.database, tx, { id, retentionMs: RETENTION_MS }))) return 'duplicate';
    const done = await insert(http, order, id, tx);
    tell = done.tell;
    return done.outcome;
  });
  try {
    const outcome = await within(DEADLINE_MS, transaction, () => undefined);
    tell();
    return outcome;
  } catch (error) {
    if (error instanceof NonExistentWorkflowError) return 'unknown';
    if (error instanceof ValidationError) return { invalid: error };
    // Somebody's transaction holds the workflow, or another delivery of the event is under way.
    if (classifyFault(error) === 'locked') return 'busy';
    throw error;
  }
}

/** `tell` is for after COMMIT: whoever waits for it need not wait for the next tick. */
async function insert<Req>(
  { pawl }: HttpContext<Req>,
  { target, data, park }: DeliveryOrder,
  id: string,
  tx: SqlClient,
): Promise<{ outcome: Inserted; tell: () => void }> {
  const { runtime } = internals(pawl);
  if ('start' in target) {
    const input = 'input' in target ? target.input : data;
    await pawl.startWorkflow(target.start as Workflow<[unknown], unknown>, {
      workflowID: target.workflowID ?? `webhook-${id}`,
      // The sender can do nothing about an id that is taken.
      duplicatePolicy: 'return-existing',
      transaction: tx,
    })(input);
    return { outcome: 'delivered', tell: () => runtime.claimSoon() };
  }
  const { workflowID, topic } = target;
  await pawl.send(workflowID, 'message' in target ? target.message : data, topic, {
    idempotencyKey: id,
    onMissing: park ? 'park' : 'error',
    transaction: tx,
  });
  const destination = await readDestination(runtime.database, tx, workflowID);
  const name = topic === undefined || typeof topic === 'string' ? (topic ?? '') : topic.name;
  return {
    outcome:
      destination !== undefined && hasEnded(destination.status as WorkflowState) ? 'finished' : 'delivered',
    tell: () => {
      runtime.engine.waits.poke(waitKeys.message(workflowID, name));
      const executor = destination?.executor ?? null;
      if (executor === null) runtime.claimSoon();
      else if (executor !== runtime.engine.executor) runtime.hints.tell(executor, workflowID);
    },
  };
}
