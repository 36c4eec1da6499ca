// The page of the pretend payment provider: two buttons in a plain form, so that it works without any script.
import { readFileSync } from 'node:fs';
import type { Payment } from './payments.ts';

export const stylesheet = readFileSync(new URL('../provider/style.css', import.meta.url));

export function paymentPage(payment: Payment | undefined): string {
  if (!payment) {
    return page('No such payment', '<p>This payment does not exist. <a href="/">Back to the shop</a></p>');
  }
  const summary = `
    <dl>
      <div><dt>Merchant</dt><dd>Widget Store</dd></div>
      <div><dt>Order</dt><dd>${escape(payment.reference)}</dd></div>
      <div class="total"><dt>Total</dt><dd>$${(payment.amountCents / 100).toFixed(2)}</dd></div>
    </dl>`;
  if (payment.status !== 'open') {
    const what =
      payment.status === 'paid' ? 'This payment is done.' : 'This payment was cancelled. No money was taken.';
    return page(
      what,
      `${summary}<p class="actions"><a class="button" href="${escape(payment.returnURL)}">Back to the shop</a></p>`,
    );
  }
  return page(
    'Confirm your payment',
    `${summary}
    <form method="post" class="actions">
      <button class="button confirm" name="decision" value="confirm" autofocus>Pay $${(payment.amountCents / 100).toFixed(2)}</button>
      <button class="button" name="decision" value="cancel">Cancel</button>
    </form>`,
  );
}

function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title} · Pretend Pay</title>
    <link rel="stylesheet" href="/provider/style.css">
    <link rel="icon" href="data:,">
  </head>
  <body>
    <main>
      <p class="brand"><span aria-hidden="true"></span>Pretend Pay</p>
      <h1>${title}</h1>
      ${content}
      <p class="note">A stand-in for a payment provider, in a process of its own. No card, no money. It takes your decision
        even while the shop is down, and tells the shop by webhook, twice, until the shop has said that it knows.</p>
    </main>
  </body>
</html>
`;
}

function escape(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
