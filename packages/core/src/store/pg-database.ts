// The database over `pg`: a pool for transactions and reads, lanes and a listener with connections of their own.
// A pool that the user handed in is used and never ended.

import pg from 'pg';
import { ConfigurationError } from '../errors/index.ts';
import type {
  Database,
  Lane,
  Listener,
  ListenOptions,
  Queryable,
  QueryResult,
  Row,
  TransactionOptions,
} from './database.ts';
import { abortedError, CommitUnknownError, ConnectionLostError } from './database.ts';
import { classifyFault, errorCode } from './faults.ts';
import { CLOSE_MS, destroyClient, endClient } from './pg-end.ts';
import { createPgLane } from './pg-lane.ts';
import { listenOnPostgres } from './pg-listener.ts';
import { createSessionTest, SESSION_SETTINGS } from './pg-session.ts';
import { createQualifier } from './schema-name.ts';
import { unavailable } from './unavailable.ts';

const NO_SUCH_STATEMENT = '26000';

export interface PgDatabaseOptions {
  connection: string | pg.PoolConfig | pg.Pool;
  schema: string;
  poolSize: number;
  applicationName: string;
}

export function openPgDatabase(options: PgDatabaseOptions): Database {
  const { connection } = options;
  const own = connection instanceof pg.Pool || isPool(connection) ? undefined : poolOf(options);
  const pool = own ?? (connection as pg.Pool);
  // A pool reports the loss of an idle connection as an event; the next query reports it to who needs it.
  const onPoolError = () => {};
  pool.on('error', onPoolError);
  const pooled = new Set<pg.PoolClient>();
  own?.on('connect', (client) => pooled.add(client));
  own?.on('remove', (client) => pooled.delete(client));
  const clientConfig = (): pg.ClientConfig => ({
    ...(pool.options as pg.ClientConfig),
    keepAlive: true,
    // It refuses query classes.
    pipeline: false,
    connectionTimeoutMillis: 3000,
  });
  const qualify = createQualifier(options.schema);
  const isSession = createSessionTest(pool);
  let prepares = false;

  const database: Database = {
    embedded: false,
    pooled: false,
    schema: options.schema,
    onStatement: undefined,
    qualify,
    open: async () => {
      try {
        (await acquire(() => {})).release();
      } catch (error) {
        throw explain(error);
      }
    },
    close: async () => {
      // Connections of our pool may be lost after its end as well: its listener stays.
      if (own === undefined) pool.off('error', onPoolError);
      // A connection that somebody still holds must not hold up the end.
      const timer = setTimeout(() => {
        for (const client of pooled) destroyClient(client, 'its database was closed');
      }, CLOSE_MS);
      await own?.end();
      clearTimeout(timer);
    },
    query: async (text, params, name) => {
      const sent = qualify(text);
      try {
        return await send<never>(pool, sent, params, prepares ? name : undefined).catch((error: unknown) => {
          // Somebody's transaction on this connection has dropped all prepared statements; pg goes on naming its own.
          if (errorCode(error) !== NO_SUCH_STATEMENT) throw error;
          return send<never>(pool, sent, params);
        });
      } catch (error) {
        throw explain(error);
      }
    },
    lane: (name) => createLane(name),
    transaction: (transactionOptions, body) => transaction(transactionOptions, body),
    listen: (listenOptions: ListenOptions): Promise<Listener> =>
      listenOnPostgres(clientConfig, testSession, listenOptions),
  };

  async function testSession(client: pg.Client): Promise<boolean> {
    database.pooled = !(await isSession(client));
    prepares = own !== undefined && !database.pooled;
    return !database.pooled;
  }

  async function send<R = Row>(
    on: pg.Pool | pg.ClientBase,
    text: string,
    params?: readonly unknown[],
    name?: string,
  ): Promise<QueryResult<R>> {
    database.onStatement?.(text);
    const values = params as unknown[] | undefined;
    const answer: pg.QueryResult | pg.QueryResult[] =
      name === undefined
        ? await on.query(text, values)
        : await on.query({ name, text, values } as pg.QueryConfig);
    // Several statements in one text (BEGIN with its settings) are answered by a list.
    const result = Array.isArray(answer) ? (answer.at(-1) as pg.QueryResult) : answer;
    return { rows: result.rows as R[], rowCount: result.rowCount ?? result.rows.length };
  }

  /**
   * A connection of the pool, with a listener for its loss until it is released. The pool takes its own listener away
   * as it hands the connection out; ours must be there in the same moment: a farewell of the server may be in the same
   * packet, comes before any promise is told, and without a listener would end the process.
   */
  function acquire(onError: (error: Error) => void): Promise<pg.PoolClient> {
    return new Promise((resolve, reject) => {
      pool.connect((error, client, release) => {
        if (client === undefined) {
          reject(error);
          return;
        }
        client.on('error', onError);
        client.release = (broken) => {
          client.off('error', onError);
          release(broken);
        };
        resolve(client);
      });
    });
  }

  async function transaction<T>(
    transactionOptions: TransactionOptions,
    body: (tx: Queryable) => Promise<T>,
  ): Promise<T> {
    let broken: Error | undefined;
    const lost = (error: unknown): ConnectionLostError => {
      broken ??= error as Error;
      return new ConnectionLostError(`The transaction's connection was lost: ${(error as Error).message}`, {
        cause: error,
      });
    };
    const client = await acquire((error) => {
      broken = error;
    }).catch((error: unknown) => {
      throw classifyFault(error) === 'connection' ? lost(error) : error;
    });
    let open = true;
    /** A statement's error, judged: the user's own (its time limit, a write where none may be) is not the connection's. */
    const judge = (error: unknown): void => {
      const code = errorCode(error);
      const own = code === '57014' || (code === '25006' && transactionOptions.readOnly === true);
      if (!own && classifyFault(error) === 'connection') broken ??= error as Error;
    };
    try {
      const level = transactionOptions.isolationLevel ?? 'READ COMMITTED';
      await send(
        client,
        `BEGIN ISOLATION LEVEL ${level}${transactionOptions.readOnly ? ' READ ONLY' : ''}; SET LOCAL synchronous_commit = on`,
      ).catch((error: unknown) => {
        judge(error);
        throw error;
      });
      const tx: Queryable = {
        query: (text, params) => {
          if (!open)
            return Promise.reject(
              new Error('This transaction has ended; its client cannot be used any more.'),
            );
          return send<never>(client, text, params).catch((error: unknown) => {
            judge(error);
            throw error;
          });
        },
      };
      let value: T;
      try {
        value = await body(tx);
      } catch (error) {
        open = false;
        if (broken === undefined) await send(client, 'ROLLBACK').catch((e: Error) => (broken = e));
        throw error;
      }
      open = false;
      if (broken !== undefined) throw broken;
      await commit(client);
      return value;
    } catch (error) {
      if (error instanceof CommitUnknownError) broken = error;
      throw broken === undefined || error instanceof CommitUnknownError ? error : lost(broken);
    } finally {
      open = false;
      client.release(broken);
    }
  }

  async function commit(client: pg.PoolClient): Promise<void> {
    database.onStatement?.('COMMIT');
    let answer: pg.QueryResult;
    try {
      answer = await client.query('COMMIT');
    } catch (error) {
      if (classifyFault(error) !== 'connection') throw error;
      throw new CommitUnknownError('The connection was lost while COMMIT was under way.', { cause: error });
    }
    if (answer.command === 'ROLLBACK') throw abortedError();
  }

  function createLane(name: string): Lane {
    return createPgLane({
      connect: async () => {
        const client = new pg.Client({
          ...clientConfig(),
          application_name: `${options.applicationName} ${name}`,
        });
        client.on('error', () => {});
        try {
          await client.connect();
          if (await testSession(client)) await client.query(SESSION_SETTINGS);
        } catch (error) {
          void endClient(client);
          throw error;
        }
        return client;
      },
      pooled: () => database.pooled,
      qualify,
      onStatement: (text) => database.onStatement?.(text),
    });
  }

  return database;
}

/** A request that met no database says so; what it was about is in the cause. */
function explain(error: unknown): unknown {
  return classifyFault(error) === 'connection' ? unavailable(error) : error;
}

function poolOf(options: PgDatabaseOptions): pg.Pool {
  const { connection } = options;
  const config: pg.PoolConfig =
    typeof connection === 'string' ? { connectionString: connection } : (connection as pg.PoolConfig);
  if (
    typeof connection === 'string' &&
    !/^postgres(ql)?:\/\//.test(connection) &&
    !connection.startsWith('/')
  ) {
    throw new ConfigurationError(
      'database must be a URL such as postgresql://user:password@host:5432/name. To use an embedded database give { dataDir }.',
    );
  }
  return new pg.Pool({
    max: options.poolSize,
    connectionTimeoutMillis: 3000,
    application_name: options.applicationName,
    ...config,
  });
}

function isPool(value: unknown): value is pg.Pool {
  const pool = value as { connect?: unknown; query?: unknown; totalCount?: unknown } | null;
  return (
    typeof pool === 'object' &&
    typeof pool?.connect === 'function' &&
    typeof pool.query === 'function' &&
    'totalCount' in pool
  );
}
