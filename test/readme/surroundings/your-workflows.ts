// Workflows that the README's samples start.
import { Pawl } from '@pawl/core';
import type { Context } from 'koa';

export interface Order {
  item: string;
}

export const pawl = new Pawl();

export const checkout = pawl.registerWorkflow(async (order: Order) => `one ${order.item}`, {
  name: 'checkout',
});

export const refund = (ctx: Context): void => {
  ctx.body = { refunded: true };
};
