// The database over PGlite: one connection in this process, statements one after another. A directory belongs to
// one process at a time, which a lock file says before PGlite would fail obscurely.

import { randomUUID } from 'node:crypto';
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
import { errorCode } from './faults.ts';
import { literal } from './pg-session.ts';
import { createQualifier } from './schema-name.ts';

export interface PGliteDatabaseOptions {
  connection: PGliteInterface | { dataDir: string };
  schema: string;
}

// Lanes read texts, numbers and booleans, all as texts, as from `pg`. What PGlite made of them is turned back: parsers of
// ours would be put together with its hundreds for each call, a quarter of a millisecond.
const KINDS = `SELECT 'a', 1::int4, 2::int8, 1.5::float8, true`;
const KINDS_AS_TEXTS = 'a 1 2 1.5 true';
/** For a database whose owner gave it parsers of such types. */
const RAW = Object.fromEntries([16, 20, 23, 25, 701].map((oid) => [oid, (value: string) => value]));

function asTexts(row: unknown[]): TextRow {
  return row.map((value) => (value === null ? null : String(value)));
}

/** There is no prepared statement of that name. */
const UNKNOWN_STATEMENT = '26000';

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

  let ownParsers = false;
  /** Names of prepared statements, by their texts. */
  const prepared = new Map<string, Promise<string>>();
  const prepare = async (text: string): Promise<string> => {
    const name = `pawl_${randomUUID()}`;
    await db().exec(`PREPARE "${name}" AS ${qualify(text)}`);
    return name;
  };

  /**
   * Prepared and sent as one message: PGlite is entered once for a call, instead of five times for one with parameters,
   * which took more than half of its time.
   */
  const execute = async (text: string, params: readonly unknown[]): Promise<TextRow[]> => {
    // In a text it would end the message, and look like a connection that fails.
    if (params.some((value) => typeof value === 'string' && value.includes('\0')))
      throw Object.assign(new Error('Postgres keeps no NUL in texts.'), { code: '22021' });
    let name = prepared.get(text);
    if (name === undefined) prepared.set(text, (name = prepare(text)));
    try {
      const values = params.length === 0 ? '' : ` (${params.map(literal).join(',')})`;
      const [result] = await db().exec(
        `EXECUTE "${await name}"${values}`,
        ownParsers ? { rowMode: 'array', parsers: RAW } : { rowMode: 'array' },
      );
      return ((result?.rows ?? []) as unknown as unknown[][]).map(asTexts);
    } catch (error) {
      // It could not be prepared, or the one whose database it is discarded it.
      if (errorCode(error) === UNKNOWN_STATEMENT || (await name.catch(() => undefined)) === undefined)
        prepared.delete(text);
      throw error;
    }
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
      const { rows } = await db().query<unknown[]>(KINDS, [], { rowMode: 'array' });
      ownParsers = rows.map(asTexts)[0]?.join(' ') !== KINDS_AS_TEXTS;
    },
    close: async () => {
      // In a database of the caller's they would stay. It may be closed by now.
      if (!own)
        for (const name of prepared.values())
          await name.then((it) => live?.exec(`DEALLOCATE "${it}"`)).catch(() => {});
      prepared.clear();
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
        const rows = await execute(text, params).catch((error: unknown) => {
          if (errorCode(error) !== UNKNOWN_STATEMENT) throw error;
          return execute(text, params);
        });
        // Without a turn of the event loop between call and answer the order of deliveries would differ from a server's.
        await new Promise(setImmediate);
        return rows;
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
