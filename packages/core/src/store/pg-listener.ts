// LISTEN on a connection of its own that reconnects with backoff. Also sends the hints: outside every data
// transaction, because a NOTIFY in a transaction serializes the commits of the whole server. Behind a transaction pooler
// there is no such connection: nothing is heard and nothing sent, and everybody polls.

import pg from 'pg';
import type { Listener, ListenOptions, Queryable, QueryResult, Row } from './database.ts';
import type { SessionTest } from './pg-session.ts';
import { endClient } from './pg-end.ts';
import { quoteIdentifier } from './schema-name.ts';

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 2000;

export async function listenOnPostgres(
  config: () => pg.ClientConfig,
  isSession: SessionTest,
  options: ListenOptions,
): Promise<Listener> {
  let client: pg.Client | undefined;
  let live: Queryable | undefined;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;
  let retryMs = FIRST_RETRY_MS;

  const connect = async (): Promise<void> => {
    const fresh = new pg.Client(config());
    let lost = false;
    const onLost = (error: unknown) => {
      if (lost) return;
      lost = true;
      const current = client === fresh;
      if (current) {
        client = undefined;
        live = undefined;
      }
      fresh.removeListener('notification', onNotification);
      void endClient(fresh);
      if (current && !closed) {
        options.onLost(error);
        again();
      }
    };
    const onNotification = (message: pg.Notification) => {
      // What this process says to everyone, it knows.
      if (message.processId !== (fresh as { processID?: number | null }).processID)
        options.onMessage(message.channel, message.payload ?? '');
    };
    fresh.on('error', onLost);
    fresh.on('end', () => onLost(new Error('The listening connection ended.')));
    await fresh.connect();
    if (!(await isSession(fresh))) {
      void endClient(fresh);
      return;
    }
    fresh.on('notification', onNotification);
    const query = async <R = Row>(text: string, params?: readonly unknown[]): Promise<QueryResult<R>> => {
      const result = await fresh.query(text, params as unknown[] | undefined);
      return { rows: result.rows as R[], rowCount: result.rowCount ?? 0 };
    };
    const queryable: Queryable = { query };
    await query(`SET statement_timeout = 0; SET idle_session_timeout = 0`).catch(() =>
      query('SET statement_timeout = 0'),
    );
    for (const channel of options.channels) await query(`LISTEN ${quoteIdentifier(channel)}`);
    await options.onConnect(queryable);
    if (lost || closed) {
      void endClient(fresh);
      if (lost) throw new Error('The listening connection was lost at once.');
      return;
    }
    client = fresh;
    live = queryable;
    retryMs = FIRST_RETRY_MS;
  };

  const again = (): void => {
    if (closed) return;
    const pause = retryMs * (0.5 + Math.random());
    retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
    retry = setTimeout(() => void connect().catch(again), pause);
  };

  await connect();
  let notified: Promise<unknown> = Promise.resolve();
  return {
    get connection() {
      return live;
    },
    notify: (channel, payloads) => {
      if (client === undefined || payloads.length === 0) return;
      // One after another: a client of `pg` takes one query at a time.
      notified = notified
        .then(() => client?.query('SELECT pg_notify($1, p) FROM unnest($2::text[]) p', [channel, payloads]))
        .catch(() => {});
    },
    close: async () => {
      closed = true;
      clearTimeout(retry);
      const last = client;
      client = undefined;
      live = undefined;
      if (last !== undefined) await endClient(last);
    },
  };
}
