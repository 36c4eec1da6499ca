// Runs a suite on both kinds of database: embedded PGlite and a real server, and where it asks for it on the same server
// behind a transaction pooler. One database per file and driver; every Pawl has a schema of its own there, unless a test says otherwise. Whatever was launched is shut down again.
import { Pawl, type PawlConfig, type SqlClientLike } from '@pawl/core';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest';
import { createEmbedded } from './embedded.ts';
import { createDatabase } from './database.ts';
import { noPgBouncer, startPgBouncer } from './pgbouncer.ts';

export interface Driver {
  readonly name: 'PGlite' | 'Postgres' | 'PgBouncer';
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

interface SuiteOptions {
  retry?: number;
  /** Also through PgBouncer in transaction mode, if it is installed. */
  pooler?: boolean;
}

export function describeEachDriver(title: string, suite: Suite): void;
export function describeEachDriver(title: string, options: SuiteOptions, suite: Suite): void;
export function describeEachDriver(title: string, ...rest: [Suite] | [SuiteOptions, Suite]): void {
  const [{ pooler = false, ...options }, suite]: [SuiteOptions, Suite] =
    rest.length === 1 ? [{}, rest[0]] : rest;
  const names: Driver['name'][] = ['PGlite', 'Postgres'];
  if (pooler && noPgBouncer === undefined) names.push('PgBouncer');
  if (pooler && noPgBouncer !== undefined) test.skip(`${title} (PgBouncer): ${noPgBouncer}`, () => {});
  describe.each(names)(`${title} (%s)`, options, (name) => {
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
      open = name === 'PGlite' ? await openEmbedded() : await openServer(name === 'PgBouncer');
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
      server: name !== 'PGlite',
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
  const database = await createEmbedded();
  return {
    database,
    sql: async <Row>(text: string, params?: unknown[]) => (await database.query<Row>(text, params)).rows,
    transaction: async <T>(work: (tx: SqlClientLike) => Promise<T>) =>
      (await database.transaction<T>((tx) => work(tx))) as T,
    close: () => database.close(),
  };
}

/** With a pooler the Pawls go through it, and the test's own SQL does not. */
async function openServer(pooler: boolean): Promise<Connection> {
  const database = await createDatabase();
  const bouncer = pooler ? await startPgBouncer() : undefined;
  const pool = new pg.Pool({ connectionString: database.url, max: 2 });
  pool.on('error', () => {});
  return {
    database: bouncer?.through(database.url) ?? database.url,
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
      await bouncer?.stop();
      await database.drop();
    },
  };
}
