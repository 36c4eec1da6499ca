// DBOS behind a route: the key is the id of a workflow whose one step does the INSERT, and its result is the answer,
// as the manual's page on idempotency has it. Configured as in dbos.ts.
import { DBOS } from '@dbos-inc/dbos-sdk';
import { expressHandler, koaHandler, type Place, type Shop } from '../http/apps.ts';
import { openOrders, type Order } from '../http/orders.ts';

export async function dbosShop(databaseUrl: string): Promise<Shop> {
  const orders = await openOrders(databaseUrl);
  const placeOrder = DBOS.registerWorkflow(
    (order: Order) => DBOS.runStep(() => orders.place(order), { name: 'insert' }),
    { name: 'placeOrder' },
  );
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl: databaseUrl, logLevel: 'warn' });
  await DBOS.launch();
  const place: Place = async (order, key) => {
    const handle = await DBOS.startWorkflow(placeOrder, { workflowID: key })(order);
    return handle.getResult();
  };
  return {
    express: () => [expressHandler(place)],
    koa: () => [koaHandler(place)],
    close: async () => {
      await DBOS.shutdown();
      await orders.close();
    },
  };
}
