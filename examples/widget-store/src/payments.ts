// A pretend payment provider: payments, their page, and webhooks signed by the Standard Webhooks scheme.
// It lives outside the shop's process, as a real one does: it takes payments while the shop is down, and
// delivers each webhook twice, again and again until the shop has acknowledged both.
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { paymentPage, stylesheet } from './payment-page.ts';

export interface Payment {
  id: string;
  orderID: string;
  reference: string;
  amountCents: number;
  returnURL: string;
  status: 'open' | 'paid' | 'cancelled';
  idempotencyKey: string;
}

interface Delivery {
  eventID: string;
  paymentID: string;
  copy: number;
  since: number;
}

interface Options {
  /** Base64, without the `whsec_` in front. */
  secret: string;
  webhookURL: string;
  /** What has to outlive this process too is kept here. */
  file: string;
  log: (line: string) => void;
}

const COPIES = 2;
const RETRY_MILLISECONDS = { first: 200, most: 3_000 };
const GIVE_UP_MILLISECONDS = 24 * 60 * 60 * 1000;

export class PaymentProvider {
  readonly #options: Options;
  readonly #payments = new Map<string, Payment>();
  readonly #deliveries = new Set<Delivery>();
  readonly #stopped = new AbortController();

  constructor(options: Options) {
    this.#options = options;
  }

  /** Reads what was left undone and goes on delivering it. */
  start(): void {
    for (const payment of this.#load().payments) this.#payments.set(payment.id, payment);
    for (const delivery of this.#load().deliveries) {
      this.#deliveries.add(delivery);
      void this.#deliver(delivery);
    }
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** Answers a request; `path` is the part of its URL behind the provider's own. */
  async handle(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, collection, id, verb] = path.split('/');
    const payment = id === undefined ? undefined : this.#payments.get(id);

    if (request.method === 'GET' && path === '/style.css') {
      response.writeHead(200, { 'Content-Type': 'text/css; charset=utf-8' }).end(stylesheet);
    } else if (request.method === 'POST' && path === '/payments') {
      sendJSON(
        response,
        201,
        this.#create(JSON.parse(await text(request)), request.headers['idempotency-key']),
      );
    } else if (request.method === 'POST' && collection === 'payments' && verb === 'close') {
      // A payment that nobody remembers took no money.
      if (payment?.status === 'open') payment.status = 'cancelled';
      this.#save();
      sendJSON(response, 200, { status: payment?.status ?? 'cancelled' });
    } else if (request.method === 'GET' && collection === 'pay') {
      const headers = {
        'Content-Type': 'text/html; charset=utf-8',
        'Cache-Control': 'no-store',
        ...pageSecurity,
      };
      response.writeHead(payment ? 200 : 404, headers).end(paymentPage(payment));
    } else if (request.method === 'POST' && collection === 'pay' && payment) {
      const decision = new URLSearchParams(await text(request)).get('decision');
      if (decision === 'confirm' || decision === 'cancel') this.#decide(payment, decision);
      response.writeHead(303, { Location: payment.returnURL }).end();
    } else {
      sendJSON(response, 404, { title: 'Not found', status: 404 });
    }
  }

  #create(
    order: Omit<Payment, 'id' | 'status' | 'idempotencyKey'>,
    key: unknown,
  ): { id: string; url: string } {
    const idempotencyKey = typeof key === 'string' ? key : randomUUID();
    let payment = [...this.#payments.values()].find((known) => known.idempotencyKey === idempotencyKey);
    if (payment) {
      this.#options.log(`${payment.reference} · the same payment again, by its idempotency key`);
    } else {
      const { orderID, reference, amountCents, returnURL } = order;
      const id = `pay_${randomUUID()}`;
      payment = { id, orderID, reference, amountCents, returnURL, status: 'open', idempotencyKey };
      this.#payments.set(id, payment);
      this.#save();
      this.#options.log(`${reference} · payment opened`);
    }
    return { id: payment.id, url: `/provider/pay/${payment.id}` };
  }

  /** The first decision counts. */
  #decide(payment: Payment, decision: 'confirm' | 'cancel'): void {
    if (payment.status !== 'open') return;
    payment.status = decision === 'confirm' ? 'paid' : 'cancelled';
    this.#options.log(`${payment.reference} · ${payment.status} by the customer`);
    const eventID = `evt_${randomUUID()}`;
    const copies = Array.from({ length: COPIES }, (_, index) => index + 1);
    const deliveries = copies.map((copy) => ({ eventID, paymentID: payment.id, copy, since: Date.now() }));
    for (const delivery of deliveries) this.#deliveries.add(delivery);
    this.#save();
    for (const delivery of deliveries) void this.#deliver(delivery);
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const payment = this.#payments.get(delivery.paymentID);
    let pause = RETRY_MILLISECONDS.first;
    while (payment && !this.#stopped.signal.aborted && Date.now() - delivery.since < GIVE_UP_MILLISECONDS) {
      const answer = await this.#post(delivery.eventID, payment);
      this.#options.log(
        `${payment.reference} · webhook "${payment.status}", copy ${delivery.copy} → ${answer.told}`,
      );
      if (answer.acknowledged) break;
      await new Promise((resolve) => setTimeout(resolve, pause).unref());
      pause = Math.min(pause * 2, RETRY_MILLISECONDS.most);
    }
    if (this.#stopped.signal.aborted) return;
    this.#deliveries.delete(delivery);
    this.#save();
  }

  async #post(eventID: string, payment: Payment): Promise<{ acknowledged: boolean; told: string }> {
    const timestamp = String(Math.floor(Date.now() / 1000));
    const data = { orderID: payment.orderID, status: payment.status };
    const body = JSON.stringify({ type: `payment.${payment.status}`, timestamp: new Date(), data });
    const key = Buffer.from(this.#options.secret, 'base64');
    const signature = createHmac('sha256', key).update(`${eventID}.${timestamp}.${body}`).digest('base64');
    try {
      const response = await fetch(this.#options.webhookURL, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          'webhook-id': eventID,
          'webhook-timestamp': timestamp,
          'webhook-signature': `v1,${signature}`,
        },
        body,
        signal: AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(10_000)]),
      });
      const note = response.headers.has('webhook-duplicate')
        ? ' (known already)'
        : response.ok
          ? ''
          : ', will retry';
      return { acknowledged: response.ok, told: `${response.status}${note}` };
    } catch {
      return { acknowledged: false, told: 'no answer, will retry' };
    }
  }

  #load(): { payments: Payment[]; deliveries: Delivery[] } {
    try {
      return JSON.parse(readFileSync(this.#options.file, 'utf8'));
    } catch {
      return { payments: [], deliveries: [] };
    }
  }

  #save(): void {
    const state = { payments: [...this.#payments.values()], deliveries: [...this.#deliveries] };
    writeFileSync(`${this.#options.file}.new`, JSON.stringify(state));
    renameSync(`${this.#options.file}.new`, this.#options.file);
  }
}

const pageSecurity = {
  'Content-Security-Policy':
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};

function sendJSON(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
