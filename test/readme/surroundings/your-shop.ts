// The API that the page about existing APIs begins with.
import type { SqlClient } from '@pawl/core';
import type { Request } from 'express';
import type { Context } from 'koa';

export function findUser(from: Request | Context): { id: string } {
  return { id: from.get('x-user') as string };
}

/** What was made, in order. */
export const orders: { id: number; user: string; item: string }[] = [];

export async function makeOrder(
  user: { id: string },
  { item }: { item: string },
): Promise<(typeof orders)[number]> {
  if (item === 'soup') throw new Error('The kitchen is on fire.');
  const order = { id: orders.length + 1, user: user.id, item };
  orders.push(order);
  return order;
}

/** The idempotency keys that somebody was charged under. */
export const charges: string[] = [];

export async function charge({ item }: { item: string }, idempotencyKey: string): Promise<string> {
  charges.push(idempotencyKey);
  return `receipt for one ${item}`;
}

export async function save(tx: SqlClient, { item }: { item: string }, receipt: string): Promise<void> {
  await tx.query('INSERT INTO receipts (item, receipt) VALUES ($1, $2)', [item, receipt]);
}
