// Pawl behind a route, in its two modes: around the same handler as the bare one, or with the workflow as the route.
import { Pawl } from '@pawl/core';
import { pawlExpress } from '@pawl/express';
import { pawlKoa } from '@pawl/koa';
import { expressHandler, koaHandler, type Shop } from '../http/apps.ts';
import { openOrders, type Order } from '../http/orders.ts';
import { quietLogger } from './pawl.ts';

export type Mode = 'idempotent' | 'endpoint';

export async function pawlShop(databaseUrl: string, mode: Mode): Promise<Shop> {
  const orders = await openOrders(databaseUrl);
  const pawl = new Pawl({ name: 'bench', database: databaseUrl, logger: quietLogger });
  const placeOrder = pawl.registerWorkflow(
    (order: Order) => pawl.runStep(() => orders.place(order), { name: 'insert' }),
    { name: 'placeOrder' },
  );
  await pawl.launch();
  const reply = (order: Order): { status: number; json: Order } => ({ status: 201, json: order });
  return {
    express() {
      const http = pawlExpress(pawl, { scope: 'global' });
      if (mode === 'endpoint') return [http.endpoint(placeOrder, { required: true, reply })];
      return [http.idempotent({ required: true }), expressHandler(orders.place)];
    },
    koa() {
      const http = pawlKoa(pawl, { scope: 'global' });
      if (mode === 'endpoint') return [http.endpoint(placeOrder, { required: true, reply })];
      return [http.idempotent({ required: true }), koaHandler(orders.place)];
    },
    close: async () => {
      await pawl.shutdown();
      await orders.close();
    },
  };
}
