// What the two durable routes of the shop are, whichever framework serves them: express.ts and koa.ts mount these.
import { verify, type WebhookEvent } from '@pawl/core/http';
import type { z } from 'zod';
import { paymentNews, paymentPage, PaymentWebhook, Purchase } from './workflows.ts';

/** Answered as soon as there is a payment page, long before the workflow has ended. */
export const orderRoute = {
  required: true,
  input: Purchase,
  event: paymentPage,
  reply: (payment: { orderID: string; reference: string; url: string }) => ({ status: 201, json: payment }),
};

/** The provider's word reaches the workflow that waits for it once, however often it is delivered. */
export const paymentRoute = {
  name: 'payments',
  verify: verify.standardWebhooks({ secrets: process.env['PAYMENTS_SECRET'] ?? '' }),
  schema: PaymentWebhook,
  route: (event: WebhookEvent<z.output<typeof PaymentWebhook>>) => {
    const { orderID, status } = event.data.data;
    return { workflowID: orderID, topic: paymentNews.name, message: { status } };
  },
};
