// The shop that the README's first sample sells in.
import type { SqlClient } from '@pawl/core';

export interface Order {
  item: string;
}

export async function reserve(tx: SqlClient, { item }: Order): Promise<void> {
  const { rowCount } = await tx.query('UPDATE stock SET items_left = items_left - 1 WHERE item = $1', [item]);
  if (rowCount !== 1) throw new Error(`Nobody sells ${item}.`);
}

/** How often somebody was asked for money. */
export const payments: string[] = [];

export async function createPayment(
  { item }: Order,
  idempotencyKey: string,
): Promise<{ item: string; page: string }> {
  payments.push(idempotencyKey);
  return { item, page: `https://pay.example/${encodeURIComponent(idempotencyKey)}` };
}

export async function ship(tx: SqlClient, { item }: Order): Promise<void> {
  await tx.query('UPDATE stock SET shipped = shipped + 1 WHERE item = $1', [item]);
}

export async function release(tx: SqlClient, { item }: Order): Promise<void> {
  await tx.query('UPDATE stock SET items_left = items_left + 1 WHERE item = $1', [item]);
}
