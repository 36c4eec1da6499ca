// The work that every handler of B11 does: one INSERT through pg, prepared, on a pool with pg's defaults.
import pg from 'pg';

export interface Order {
  id: string;
  sku: string;
  quantity: number;
}

export interface Orders {
  place(order: Order): Promise<Order>;
  close(): Promise<void>;
}

export async function openOrders(databaseUrl: string): Promise<Orders> {
  const pool = new pg.Pool({ connectionString: databaseUrl });
  await pool.query(`
    create table orders (
      id text primary key,
      sku text not null,
      quantity integer not null,
      created_at timestamptz not null default now()
    )`);
  return {
    async place({ id, sku, quantity }) {
      await pool.query({ ...insert, values: [id, sku, quantity] });
      return { id, sku, quantity };
    },
    close: () => pool.end(),
  };
}

const insert = {
  name: 'insert-order',
  text: 'insert into orders (id, sku, quantity) values ($1, $2, $3)',
};
