// The shop's own tables and the SQL on them, in the same database as the workflows.
// Every function takes the transaction that it runs in; none knows about workflows or HTTP.
import { createHash } from 'node:crypto';
import type { SqlClient } from '@pawl/core';

export type OrderStatus = 'awaiting payment' | 'paid' | 'delivered' | 'cancelled';

export interface Product {
  id: string;
  name: string;
  priceCents: number;
  stock: number;
}

export interface Order {
  id: string;
  reference: string;
  priceCents: number;
  status: OrderStatus;
  reason: string | null;
  stages: string[];
  createdAt: string;
}

export interface Shop {
  product: Product;
  /** supplied = stock + ordered + reserved, always: `reserved` is a widget taken for an order that is still being written. */
  books: { supplied: number; stock: number; ordered: number; reserved: number };
  orders: Order[];
}

export const WIDGET = 'widget';

/** What people call an order: six characters that follow from its id, and so are the same on every replay. */
export function referenceOf(workflowID: string): string {
  const orderID = workflowID.replace(/-dispatch$/, '');
  return `W-${createHash('sha256').update(orderID).digest('hex').slice(0, 6).toUpperCase()}`;
}

export async function prepareShop(tx: SqlClient): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtext('widget-store'))`); // two processes may start at once
  await tx.query(`CREATE SCHEMA IF NOT EXISTS shop`);
  await tx.query(`CREATE TABLE IF NOT EXISTS shop.product (
    id text PRIMARY KEY,
    name text NOT NULL,
    price_cents integer NOT NULL,
    stock integer NOT NULL CHECK (stock >= 0),
    supplied integer NOT NULL
  )`);
  await tx.query(`CREATE TABLE IF NOT EXISTS shop.orders (
    id text PRIMARY KEY,
    reference text NOT NULL,
    product_id text NOT NULL REFERENCES shop.product,
    price_cents integer NOT NULL,
    status text NOT NULL,
    reason text,
    created_at timestamptz NOT NULL DEFAULT now()
  )`);
  // No unique constraint on purpose: if a stage ever ran twice, it would show here.
  await tx.query(`CREATE TABLE IF NOT EXISTS shop.shipment (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id text NOT NULL REFERENCES shop.orders,
    stage text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
  )`);
  await tx.query(`CREATE INDEX IF NOT EXISTS shipment_order ON shop.shipment (order_id)`);
  await tx.query(
    `INSERT INTO shop.product (id, name, price_cents, stock, supplied)
     VALUES ($1, 'The Widget', 4900, 100, 100) ON CONFLICT DO NOTHING`,
    [WIDGET],
  );
}

/** Takes one off the shelf. Null: there is none left. */
export async function reserve(tx: SqlClient, productID: string): Promise<{ priceCents: number } | null> {
  const { rows } = await tx.query<{ priceCents: number }>(
    `UPDATE shop.product SET stock = stock - 1 WHERE id = $1 AND stock > 0 RETURNING price_cents AS "priceCents"`,
    [productID],
  );
  return rows[0] ?? null;
}

export async function createOrder(
  tx: SqlClient,
  order: { id: string; reference: string; productID: string; priceCents: number },
): Promise<void> {
  await tx.query(
    `INSERT INTO shop.orders (id, reference, product_id, price_cents, status)
     VALUES ($1, $2, $3, $4, 'awaiting payment')`,
    [order.id, order.reference, order.productID, order.priceCents],
  );
}

export async function markPaid(tx: SqlClient, orderID: string): Promise<void> {
  await tx.query(`UPDATE shop.orders SET status = 'paid', reason = NULL WHERE id = $1`, [orderID]);
}

/** The orders whose payment has been waited for too long; each is named once. */
export async function markOverdue(tx: SqlClient, seconds: number): Promise<string[]> {
  const { rows } = await tx.query<{ id: string }>(
    `UPDATE shop.orders SET reason = 'not paid in time'
     WHERE status = 'awaiting payment' AND reason IS NULL AND created_at < now() - $1 * interval '1 second' RETURNING id`,
    [seconds],
  );
  return rows.map(({ id }) => id);
}

/** Cancels the order and puts its widget back: both or neither. */
export async function cancelOrder(tx: SqlClient, orderID: string, reason: string): Promise<void> {
  const { rows } = await tx.query<{ product: string }>(
    `UPDATE shop.orders SET status = 'cancelled', reason = $2 WHERE id = $1 RETURNING product_id AS product`,
    [orderID, reason],
  );
  await tx.query(`UPDATE shop.product SET stock = stock + 1 WHERE id = $1`, [rows[0]?.product]);
}

export async function recordStage(
  tx: SqlClient,
  orderID: string,
  stage: string,
  last: boolean,
): Promise<void> {
  await tx.query(`INSERT INTO shop.shipment (order_id, stage) VALUES ($1, $2)`, [orderID, stage]);
  if (last) await tx.query(`UPDATE shop.orders SET status = 'delivered' WHERE id = $1`, [orderID]);
}

export async function restock(
  tx: SqlClient,
  productID: string,
  quantity: number,
): Promise<{ stock: number }> {
  const { rows } = await tx.query<{ stock: number }>(
    `UPDATE shop.product SET stock = stock + $2, supplied = supplied + $2 WHERE id = $1 RETURNING stock`,
    [productID, quantity],
  );
  return { stock: rows[0]?.stock ?? 0 };
}

/** What the page shows: the product, the books and the newest orders, at one instant if the transaction is REPEATABLE READ. */
export async function readShop(tx: SqlClient): Promise<Shop> {
  const products = await tx.query<Product & { supplied: number; ordered: number }>(
    `SELECT id, name, price_cents AS "priceCents", stock, supplied,
            (SELECT count(*)::int FROM shop.orders WHERE status <> 'cancelled') AS ordered
     FROM shop.product WHERE id = $1`,
    [WIDGET],
  );
  const orders = await tx.query<Order>(
    `SELECT id, reference, price_cents AS "priceCents", status, reason,
            to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "createdAt",
            ARRAY(SELECT stage FROM shop.shipment WHERE order_id = orders.id ORDER BY number) AS stages
     FROM shop.orders ORDER BY created_at DESC, id LIMIT 50`,
  );
  const found = products.rows[0];
  if (!found) throw new Error('The shop has no widget: prepareShop has not run.');
  const { supplied, ordered, ...product } = found;
  const reserved = supplied - product.stock - ordered;
  return { product, books: { supplied, stock: product.stock, ordered, reserved }, orders: orders.rows };
}
