// A shop process that the crash suite kills: `node shop.ts FRAMEWORK DATABASE_URL`. Says its port on standard output.
// What really happened is counted in the table `work`, outside of Pawl.
import { setTimeout as pause } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';
import { Pawl } from '@pawl/core';
import pg from 'pg';
import { frameworks } from '../frameworks.ts';

const [name, database] = process.argv.slice(2);
const framework = frameworks.find((each) => each.name === name);
if (framework === undefined || database === undefined)
  throw new Error('usage: shop.ts FRAMEWORK DATABASE_URL');

const work = new pg.Pool({ connectionString: database, max: 2 });
const pawl = new Pawl({ database, leaseSeconds: 3 });

async function did(what: string): Promise<number> {
  const { rows } = await work.query<{ id: number }>('INSERT INTO work (what) VALUES ($1) RETURNING id', [
    what,
  ]);
  return rows[0]?.id ?? 0;
}

const checkout = pawl.registerWorkflow(
  async (order: { sku: string }) => {
    const charge = await pawl.runStep(() => did('charge'), { name: 'charge' });
    await pawl.runStep(() => pause(600), { name: 'pack' });
    const shipment = await pawl.runStep(() => did('ship'), { name: 'ship' });
    return { sku: order.sku, charge, shipment };
  },
  { name: 'checkout' },
);

await pawl.launch();
const server = framework.serve(pawl, { scope: 'global' }, (app) => {
  app.endpoint('/orders', checkout, { reply: (value) => ({ status: 201, json: value }) });
  app.idempotent('/wrapped', { lease: '2s' }, async ({ idempotency }) => {
    const handle = await pawl.startWorkflow(checkout)({ sku: 'wrapped' });
    return { status: 201, json: { ...(await handle.getResult()), attempt: idempotency?.attempt } };
  });
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
