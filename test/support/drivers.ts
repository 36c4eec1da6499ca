// Runs a suite on both kinds of database: embedded PGlite and a real server. One database per file and driver; every
// Pawl has a schema of its own there, unless a test says otherwise. Whatever was launched is shut down again.
import { PGlite } from '@electric-sql/pglite';
import { Pawl, type PawlConfig, type SqlClientLike } from '@pawl/core';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import { createDatabase } from './database.ts';

export interface Driver {
  readonly name: 'PGlite' | 'Postgres';
  /** Several Pawls on one schema stand for several processes; embedded there can be only one. */
  readonly server: boolean;
  /** Fits `database` of any Pawl. */
  readonly database: Exclude<PawlConfig['database'], undefined>;
  /** A schema name that nobody has used yet. */
  freshSchema(): string;
  /** A Pawl in a fresh schema, not launched. Shut down after the test, or after all if made outside of one. */
  create(config?: PawlConfig): Pawl;
  /** The same, launched. */
  launch(config?: PawlConfig): Promise<Pawl>;
  /** SQL beside all Pawls, for tables of the test's own and for looks at ours. */
  sql<Row = Record<string, unknown>>(text: string, params?: unknown[]): Promise<Row[]>;
  /** A transaction of the test's own, on the driver's own client. */
  transaction<T>(work: (tx: SqlClientLike) => Promise<T>): Promise<T>;
}

/** Many tests expect failures; what the engine says about them would drown the report. */
export const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

type Suite = (driver: Driver) => void;

export function describeEachDriver(title: string, suite: Suite): void;
export function describeEachDriver(title: string, options: { retry: number }, suite: Suite): void;
export function describeEachDriver(title: string, ...rest: [Suite] | [{ retry: number }, Suite]): void {
  const [options, suite] = rest.length === 1 ? [{}, rest[0]] : rest;
  describe.each(['PGlite', 'Postgres'] as const)(`${title} (%s)`, options, (name) => {
    let open: Connection | undefined;
    let schemas = 0;
    let launched: Pawl[] = [];
    let inTest = false;
    const shared: Pawl[] = [];
    const connection = (): Connection => {
      if (open === undefined) throw new Error('The database is there from beforeAll() on.');
      return open;
    };

    beforeAll(async () => {
      open = name === 'PGlite' ? await openEmbedded() : await openServer();
    });
    beforeEach(() => {
      inTest = true;
    });
    afterEach(async () => {
      inTest = false;
      const pawls = launched;
      launched = [];
      await Promise.all(pawls.map((pawl) => pawl.shutdown({ graceSeconds: 0 })));
    });
    afterAll(async () => {
      await Promise.all(shared.map((pawl) => pawl.shutdown({ graceSeconds: 0 })));
      await open?.close();
    });

    const driver: Driver = {
      name,
      server: name === 'Postgres',
      get database() {
        return connection().database;
      },
      freshSchema: () => `pawl_${++schemas}`,
      create: (config = {}) => {
        const pawl = new Pawl({
          database: connection().database,
          schema: config.schema ?? driver.freshSchema(),
          logger: quiet,
          ...config,
        });
        (inTest ? launched : shared).push(pawl);
        return pawl;
      },
      launch: (config) => driver.create(config).launch(),
      sql: (text, params) => connection().sql(text, params),
      transaction: (work) => connection().transaction(work),
    };
    suite(driver);
  });
}

interface Connection {
  database: Driver['database'];
  sql: Driver['sql'];
  transaction: Driver['transaction'];
  close(): Promise<void>;
}

async function openEmbedded(): Promise<Connection> {
  const database = await PGlite.create('memory://');
  return {
    database,
    sql: async <Row>(text: string, params?: unknown[]) => (await database.query<Row>(text, params)).rows,
    transaction: async <T>(work: (tx: SqlClientLike) => Promise<T>) =>
      (await database.transaction<T>((tx) => work(tx))) as T,
    close: () => database.close(),
  };
}

async function openServer(): Promise<Connection> {
  const database = await createDatabase();
  const pool = new pg.Pool({ connectionString: database.url, max: 2 });
  pool.on('error', () => {});
  return {
    database: database.url,
    sql: async <Row>(text: string, params?: unknown[]) => (await pool.query(text, params)).rows as Row[],
    transaction: async <T>(work: (tx: SqlClientLike) => Promise<T>) => {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        const value = await work(client);
        await client.query('COMMIT');
        return value;
      } catch (error) {
        await client.query('ROLLBACK');
        throw error;
      } finally {
        client.release();
      }
    },
    close: async () => {
      await pool.end();
      await database.drop();
    },
  };
}
