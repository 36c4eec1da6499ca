// A shop process that the killed suite kills at random: `node keyed-shop.ts FRAMEWORK DATABASE_URL`. Says its port on
// standard output. What really happened is counted in tables of the test's own.
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Pawl } from '@pawl/core';
import pg from 'pg';
import { frameworks } from '../frameworks.ts';

const [name, database] = process.argv.slice(2);
const framework = frameworks.find((each) => each.name === name);
if (framework === undefined || database === undefined)
  throw new Error('usage: keyed-shop.ts FRAMEWORK DATABASE_URL');

const tables = new pg.Pool({ connectionString: database, max: 4 });
tables.on('error', () => undefined);
const quiet = { debug() {}, info() {}, warn() {}, error: console.error };
const pawl = new Pawl({ database, leaseSeconds: 3, logger: quiet });
const soon = (most: number): Promise<void> => pause(Math.random() * most);

/** Its transaction is the work: once for each key, whatever is killed. */
const checkout = pawl.registerWorkflow(
  async (order: { key: string }) => {
    await pawl.runStep(() => soon(40), { name: 'prepare' });
    const id = await pawl.runTransaction(
      async (tx) => {
        const { rows } = await tx.query<{ id: number }>('INSERT INTO work (key) VALUES ($1) RETURNING id', [
          order.key,
        ]);
        return rows[0]?.id;
      },
      { name: 'work' },
    );
    await pawl.runStep(() => soon(40), { name: 'pack' });
    return { key: order.key, id };
  },
  { name: 'checkout' },
);

await pawl.launch();
const server = framework.serve(pawl, { scope: 'global' }, (app) => {
  app.endpoint('/orders', checkout, { reply: (value) => ({ status: 201, json: value }) });
  app.idempotent('/wrapped', { lease: '5s' }, async ({ body, idempotency }) => {
    const { key } = body as { key: string };
    // The fence: no two runs have the same attempt at a key.
    await tables.query('INSERT INTO attempt (key, attempt, process) VALUES ($1, $2, $3)', [
      key,
      idempotency?.attempt,
      process.pid,
    ]);
    const handle = await pawl.startWorkflow(checkout)({ key });
    const result = await handle.getResult();
    await soon(40);
    return { status: 201, json: { ...result, attempt: idempotency?.attempt } };
  });
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
