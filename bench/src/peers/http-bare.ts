// A handler that does its INSERT and answers, and pays no heed to the key: the floor of B11.
import { expressHandler, koaHandler, type Shop } from '../http/apps.ts';
import { openOrders } from '../http/orders.ts';

export async function bareShop(databaseUrl: string): Promise<Shop> {
  const orders = await openOrders(databaseUrl);
  return {
    express: () => [expressHandler(orders.place)],
    koa: () => [koaHandler(orders.place)],
    close: orders.close,
  };
}
