// The workflows of the shop: checkout takes an order and waits for its payment, dispatch ships it, and every minute
// the clock starts cancel-unpaid. They read as if nothing could ever fail in between; that is the point. Nothing here
// knows about HTTP.
import { defineEvent, defineTopic } from '@pawl/core';
import { z } from 'zod';
import { CrashablePawl } from './crash.ts';
import { closePayment, createPayment } from './payment-client.ts';
import {
  cancelOrder,
  createOrder,
  markOverdue,
  markPaid,
  recordStage,
  referenceOf,
  reserve,
  restock,
  WIDGET,
} from './shop.ts';

// A Pawl like any other, with crash buttons: in your own app this line is `new Pawl()`.
export const pawl = new CrashablePawl({ name: 'widget-store' });

export const Purchase = z.object({ product: z.literal(WIDGET) });
const Decision = z.object({ status: z.enum(['paid', 'cancelled']) });
export const PaymentWebhook = z.object({ type: z.string(), data: Decision.extend({ orderID: z.string() }) });

export const paymentPage = defineEvent<{ orderID: string; reference: string; url: string }>('payment');
export const paymentNews = defineTopic(
  'payment',
  z.object({ status: z.enum(['paid', 'cancelled', 'too late']) }),
);
export const progress = defineEvent<{ stage: string; done: number; of: number }>('progress');

export class SoldOutError extends Error {
  override readonly name = 'SoldOutError';
  readonly status = 409;
  readonly code = 'sold-out';
  readonly title = 'Sold out';
}

export class PaymentsUnavailableError extends Error {
  override readonly name = 'PaymentsUnavailableError';
  readonly status = 502;
  readonly code = 'payments-unavailable';
  readonly title = 'No payment provider';
  readonly expose = true; // its message is for the customer
}

pawl.registerError(SoldOutError);
pawl.registerError(PaymentsUnavailableError);

const UNPAID_SECONDS = Number(process.env['UNPAID_SECONDS'] ?? 120);
const DAY = 24 * 60 * 60;
const PACKERS = 5;
const STAGES = ['pick', 'pack', 'ship', 'deliver'] as const;
const STAGE_MILLISECONDS = Number(process.env['STAGE_MILLISECONDS'] ?? 1500);

async function checkoutWorkflow(
  purchase: z.output<typeof Purchase>,
): Promise<{ reference: string; paid: boolean }> {
  const id = pawl.workflowID as string; // the order's id is the workflow's
  const reference = referenceOf(id);

  const widget = await pawl.runTransaction((tx) => reserve(tx, purchase.product), { name: 'reserve' });
  if (!widget) throw new SoldOutError('The last widget has just been sold.');

  await pawl.runTransaction(
    (tx) => createOrder(tx, { id, reference, productID: purchase.product, priceCents: widget.priceCents }),
    { name: 'create order' },
  );

  let payment: { id: string; url: string };
  try {
    payment = await pawl.runStep(
      (step) => createPayment({ orderID: id, reference, amountCents: widget.priceCents }, step),
      { name: 'create payment', retriesAllowed: true, maxAttempts: 6, intervalSeconds: 0.5, timeout: '5s' },
    );
  } catch {
    await pawl.runTransaction((tx) => cancelOrder(tx, id, 'no payment provider'), { name: 'cancel order' });
    throw new PaymentsUnavailableError('The payment provider does not answer. Nothing was ordered.');
  }
  await pawl.setEvent(paymentPage, { orderID: id, reference, url: payment.url });

  // Somebody pays, or cancels, or walks away. Then the provider is told, and has the last word: a customer who
  // paid in that very moment has paid.
  const news = (await pawl.recv(paymentNews, DAY)) ?? { status: 'too late' };
  const outcome =
    news.status === 'too late'
      ? await pawl.runStep((step) => closePayment(payment.id, step), {
          name: 'close payment',
          retriesAllowed: true,
          maxAttempts: 100,
          maxIntervalSeconds: 60,
          timeout: '5s',
        })
      : news;

  if (outcome.status === 'paid') {
    await pawl.runTransaction((tx) => markPaid(tx, id), { name: 'mark paid' });
    await pawl.startWorkflow(dispatch, { workflowID: `${id}-dispatch`, queueName: 'dispatch' })(id);
  } else {
    const reason = news.status === 'cancelled' ? 'payment cancelled' : 'not paid in time';
    await pawl.runTransaction((tx) => cancelOrder(tx, id, reason), { name: 'cancel order' });
  }
  return { reference, paid: outcome.status === 'paid' };
}

async function dispatchWorkflow(orderID: string): Promise<void> {
  for (const [index, stage] of STAGES.entries()) {
    await pawl.sleep(STAGE_MILLISECONDS); // durable: a restart does not begin it anew
    await pawl.runTransaction((tx) => recordStage(tx, orderID, stage, index === STAGES.length - 1), {
      name: stage,
    });
    await pawl.setEvent(progress, { stage, done: index + 1, of: STAGES.length });
  }
}

/** Started by the clock. Each order hears of it once, and cancels itself: only its own workflow knows what else it did. */
async function cancelUnpaidWorkflow(): Promise<number> {
  const unpaid = await pawl.runTransaction((tx) => markOverdue(tx, UNPAID_SECONDS));
  for (const id of unpaid) await pawl.send(id, { status: 'too late' }, paymentNews);
  return unpaid.length;
}

function restockWorkflow(quantity: number): Promise<{ stock: number }> {
  return pawl.runTransaction((tx) => restock(tx, WIDGET, quantity), { name: 'restock' });
}

export const checkout = pawl.registerWorkflow(checkoutWorkflow, { name: 'checkout' });
export const dispatch = pawl.registerWorkflow(dispatchWorkflow, { name: 'dispatch' });
export const cancelUnpaid = pawl.registerWorkflow(cancelUnpaidWorkflow, { name: 'cancel-unpaid' });
export const fillShelf = pawl.registerWorkflow(restockWorkflow, { name: 'restock' });

// However many orders are paid at once, and however many processes there are: no more than these are packed at a time.
pawl.registerQueue('dispatch', { concurrency: PACKERS });
pawl.registerScheduled(cancelUnpaid, { crontab: '* * * * *' });
