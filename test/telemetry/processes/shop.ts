// A shop with the OpenTelemetry SDK that the crash suite kills: `node shop.ts FRAMEWORK DATABASE SPANS_FILE`. Appends
// each span to the file as it ends. Says its port on standard output, and that it is charging; the first one never gets done.
import { appendFileSync, existsSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { trace } from '@opentelemetry/api';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { Pawl } from '@pawl/core';
import { verify } from '@pawl/core/http';
import { frameworks } from '../../http/frameworks.ts';
import { seen } from '../seen.ts';

const [name, database = '', file = ''] = process.argv.slice(2);
const framework = frameworks.find((each) => each.name === name);
if (framework === undefined) throw new Error('usage: shop.ts FRAMEWORK DATABASE SPANS_FILE');
const second = existsSync(file);

new NodeTracerProvider({
  spanProcessors: [
    {
      onStart: () => {},
      onEnd: (span) => appendFileSync(file, `${JSON.stringify(seen(span))}\n`),
      forceFlush: async () => {},
      shutdown: async () => {},
    },
  ],
}).register();
const tracer = trace.getTracer('the shop');

const embedded = !database.startsWith('postgres');
const pawl = new Pawl({ database: embedded ? { dataDir: database } : database, leaseSeconds: 3 });

const dispatch = pawl.registerWorkflow(
  async (item: string) => pawl.runStep(() => `a box of ${item}`, { name: 'pack' }),
  { name: 'dispatch' },
);
const ledger = pawl.registerWorkflow(async () => pawl.recv('booked', Infinity), { name: 'ledger' });
const checkout = pawl.registerWorkflow(
  async (order: { item: string }) =>
    tracer.startActiveSpan('around it all', async (around) => {
      tracer.startSpan('body begins').end();
      await pawl.runStep(() => tracer.startSpan('call the stock').end(), { name: 'reserve' });
      tracer.startSpan('body goes on').end();
      await dispatch(order.item);
      await pawl.send('ledger', order, 'booked');
      await pawl.recv('payment');
      tracer.startSpan('body before the crash').end();
      await pawl.runStep(charge, { name: 'charge' });
      tracer.startSpan('body after the crash').end();
      await pawl.runStep(() => 'shipped', { name: 'ship' });
      around.end();
      return order;
    }),
  { name: 'checkout' },
);

async function charge(): Promise<void> {
  if (second) return;
  process.stdout.write('charging\n');
  await new Promise(() => setInterval(() => {}, 1000));
}

await pawl.launch();
if (!second) await pawl.startWorkflow(ledger, { workflowID: 'ledger' })();
const server = framework.serve(pawl, { scope: (req) => String(req.headers['x-tenant']) }, (app) => {
  app.endpoint('/orders', checkout, { reply: (order) => ({ status: 201, json: order }) });
  app.webhook<{ orderID: string }>('/webhooks/payment', {
    name: 'payment',
    verify: verify.unsafeNone(),
    route: (event) => ({ workflowID: event.data.orderID, topic: 'payment' }),
  });
  app.workflows('/workflows', { authorize: () => true });
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
