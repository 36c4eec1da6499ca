// Stock, provider and login of the page about a checkout.
import type { SqlClient } from '@pawl/core';
import type { Request } from 'express';

export interface Cart {
  item: string;
}

export const userOf = (req: Request): string => req.get('x-user') ?? '';

const move = async (tx: SqlClient, text: string, { item }: Cart): Promise<boolean> =>
  (await tx.query(text, [item])).rowCount === 1;

export const stock = {
  reserve: (tx: SqlClient, _orderID: string, cart: Cart) =>
    move(tx, 'UPDATE stock SET items_left = items_left - 1 WHERE item = $1 AND items_left > 0', cart),
  release: (tx: SqlClient, _orderID: string, cart: Cart) =>
    move(tx, 'UPDATE stock SET items_left = items_left + 1 WHERE item = $1', cart),
  sell: (tx: SqlClient, _orderID: string, cart: Cart) =>
    move(tx, 'UPDATE stock SET sold = sold + 1 WHERE item = $1', cart),
};

/** What the provider was asked. */
export const asked: string[] = [];

export const provider = {
  async createSession(orderID: string, _cart: Cart, _key: string): Promise<{ id: string; url: string }> {
    asked.push(`create ${orderID}`);
    return { id: orderID, url: `https://pay.example/${orderID}` };
  },
  async closeSession(id: string, _key: string): Promise<{ status: 'paid' | 'closed' }> {
    asked.push(`close ${id}`);
    return { status: 'closed' };
  },
};
