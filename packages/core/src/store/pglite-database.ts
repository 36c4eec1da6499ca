// The database over PGlite: one connection in this process, statements one after another. A directory belongs to
// one process at a time, which a lock file says before PGlite would fail obscurely.

import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PGlite, type PGliteInterface, type Transaction } from '@electric-sql/pglite';
import { lockDirectory } from './directory-lock.ts';
import {
  abortedError,
  type Database,
  type Lane,
  type Listener,
  type Queryable,
  type QueryResult,
  type Row,
  type TextRow,
} from './database.ts';
import { createQualifier } from './schema-name.ts';

export interface PGliteDatabaseOptions {
  connection: PGliteInterface | { dataDir: string };
  schema: string;
}

// Every type comes as text on lanes, as from `pg`.
const RAW = Object.fromEntries(
  [16, 20, 21, 23, 25, 114, 700, 701, 1043, 1114, 1184, 1700, 3802].map((oid) => [
    oid,
    (value: string) => value,
  ]),
);

export function openPGliteDatabase(options: PGliteDatabaseOptions): Database {
  const qualify = createQualifier(options.schema);
  let live: PGliteInterface | undefined =
    'dataDir' in options.connection && !('query' in options.connection) ? undefined : options.connection;
  const own = live === undefined;
  let unlock: (() => void) | undefined;

  const db = (): PGliteInterface => {
    if (live === undefined) throw new Error('The embedded database is not open.');
    return live;
  };

  const on = async <R = Row>(
    target: PGliteInterface | Transaction,
    text: string,
    params?: readonly unknown[],
  ): Promise<QueryResult<R>> => {
    database.onStatement?.(text);
    const result = await target.query<R>(text, params as unknown[] | undefined);
    return {
      rows: result.rows,
      rowCount: result.affectedRows && result.rows.length === 0 ? result.affectedRows : result.rows.length,
    };
  };

  const database: Database = {
    embedded: true,
    pooled: false,
    schema: options.schema,
    onStatement: undefined,
    qualify,
    open: async () => {
      if (own && live === undefined) {
        const { dataDir } = options.connection as { dataDir: string };
        if (dataDir.startsWith('memory://')) {
          live = await PGlite.create(dataDir);
        } else {
          const directory = resolve(dataDir);
          mkdirSync(directory, { recursive: true });
          unlock = lockDirectory(directory);
          live = await PGlite.create(join(directory, 'data'));
        }
      }
      await db().waitReady;
    },
    close: async () => {
      if (own) {
        await live?.close();
        live = undefined;
        unlock?.();
      }
    },
    query: (text, params) => on(db(), qualify(text), params),
    lane: (): Lane => ({
      call: async (text, params) => {
        database.onStatement?.(text);
        const result = await db().query<TextRow>(qualify(text), params as unknown[], {
          rowMode: 'array',
          parsers: RAW,
        });
        // Without a turn of the event loop between call and answer the order of deliveries would differ from a server's.
        await new Promise(setImmediate);
        return result.rows;
      },
      close: async () => {},
    }),
    transaction: async (transactionOptions, body) =>
      db().transaction(async (tx) => {
        database.onStatement?.('BEGIN');
        const level = transactionOptions.isolationLevel;
        if (level !== undefined || transactionOptions.readOnly) {
          await tx.query(
            `SET TRANSACTION ISOLATION LEVEL ${level ?? 'READ COMMITTED'}${transactionOptions.readOnly ? ', READ ONLY' : ''}`,
          );
        }
        let failed = false;
        const queryable: Queryable = {
          query: (text, params) =>
            on<never>(tx, text, params).catch((error: unknown) => {
              failed = true;
              throw error;
            }),
        };
        const value = await body(queryable);
        // COMMIT would roll back without a word if a statement failed and no savepoint caught it.
        if (failed)
          await tx.query('SELECT').catch(() => {
            throw abortedError();
          });
        database.onStatement?.('COMMIT');
        return value;
      }) as Promise<Awaited<ReturnType<typeof body>>>,
    // One process: what would be a hint is a call in memory, but for what a commit of the caller's tells.
    listen: async ({ channels, onConnect, onMessage }): Promise<Listener> => {
      const stops: (() => Promise<void>)[] = [];
      for (const channel of channels)
        stops.push(await db().listen(`"${channel}"`, (payload) => onMessage(channel, payload)));
      await onConnect({ query: (text, params) => on(db(), text, params) });
      return {
        connection: undefined,
        notify: () => {},
        close: async () => {
          // A database of the caller's may be closed by now.
          for (const stop of stops) await stop().catch(() => {});
        },
      };
    },
  };
  return database;
}
