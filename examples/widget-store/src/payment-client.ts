// What the shop knows of its payment provider: where it is, and the two calls that a checkout makes.
import type { StepContext } from '@pawl/core';

const PROVIDER = process.env['PAYMENTS_URL'] ?? 'http://127.0.0.1:3000/provider';

/** Safe to repeat: the step's idempotency key is the same on each try and after each crash, so it is one payment. */
export function createPayment(
  order: { orderID: string; reference: string; amountCents: number },
  step: StepContext,
): Promise<{ id: string; url: string }> {
  return call('/payments', { ...order, returnURL: `/?order=${order.reference}` }, step);
}

/** Takes no money from now on, and tells how it ended: `paid` if the customer was faster. */
export function closePayment(id: string, step: StepContext): Promise<{ status: 'paid' | 'cancelled' }> {
  return call(`/payments/${id}/close`, {}, step);
}

async function call<T>(path: string, body: object, step: StepContext): Promise<T> {
  const response = await fetch(`${PROVIDER}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': step.idempotencyKey },
    body: JSON.stringify(body),
    signal: step.signal,
  });
  if (!response.ok) throw new Error(`The payment provider answered ${response.status} to ${path}.`);
  return (await response.json()) as T;
}
