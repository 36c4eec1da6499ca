// Whether our connections are sessions of the server, and what is sent where they are not: behind a transaction pooler
// each transaction may run on another backend, so nothing that outlives one may be set, prepared, locked or listened to.

import { randomUUID } from 'node:crypto';
import type pg from 'pg';

/** True if a notification reaches the client, which must have nothing else to do. Asked once: all go the same way. */
export type SessionTest = (client: pg.Client) => Promise<boolean>;

/** How long a notification may take: through something that stands for the server, and from the server itself. */
const POOLED_MS = 300;
const DIRECT_MS = 10_000;

export function createSessionTest(pool: pg.Pool): SessionTest {
  let tested: Promise<boolean> | undefined;
  return (client) => {
    tested ??= hearsItself(client, pool).catch((error: unknown) => {
      tested = undefined;
      throw error;
    });
    return tested;
  };
}

async function hearsItself(client: pg.Client, pool: pg.Pool): Promise<boolean> {
  const first = await backend(client);
  const direct = first === (client as { processID?: number | null }).processID;
  // Another backend for each statement: a LISTEN would be left behind on one of them.
  if (!direct && (await backend(client)) !== first) return false;

  const channel = `pawl_${randomUUID()}`;
  let hear = (_heard: boolean) => {};
  const heard = new Promise<boolean>((resolve) => (hear = resolve));
  const onNotification = (message: pg.Notification) => {
    if (message.channel === channel) hear(true);
  };
  const onEnd = () => hear(false);
  client.on('notification', onNotification);
  client.on('end', onEnd);
  let timer: NodeJS.Timeout | undefined;
  try {
    await client.query(`LISTEN "${channel}"`);
    // On another connection: on this one a pooler could hand the notification out with the answer.
    await pool.query('SELECT pg_notify($1, $2)', [channel, '']);
    timer = setTimeout(hear, direct ? DIRECT_MS : POOLED_MS, false);
    const result = await heard;
    await client.query(`UNLISTEN "${channel}"`);
    return result;
  } finally {
    clearTimeout(timer);
    client.off('notification', onNotification);
    client.off('end', onEnd);
  }
}

async function backend(client: pg.Client): Promise<number | undefined> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid;
}

// What our own connections rely on, whatever the role's or the database's defaults are.
const SETTINGS = [
  'synchronous_commit = on',
  `lock_timeout = '2s'`,
  'statement_timeout = 0',
  'plan_cache_mode = force_generic_plan',
  'enable_seqscan = off',
  'jit = off',
  'client_min_messages = warning',
  `timezone = 'UTC'`,
];

/** For a connection that is a session. */
export const SESSION_SETTINGS = [
  `default_transaction_isolation = 'read committed'`,
  'default_transaction_read_only = off',
  'idle_in_transaction_session_timeout = 0',
  ...SETTINGS,
]
  .map((setting) => `SET ${setting}`)
  .join('; ');

const LOCAL_SETTINGS = [
  'SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE',
  ...SETTINGS.map((setting) => `SET LOCAL ${setting}`),
].join('; ');

/**
 * A call with its settings as one text, which the server runs as one transaction: one round trip on one backend, and
 * nothing is left behind there. Parameters are put in as literals, because such a text can have none.
 */
export function asOneTransaction(
  text: string,
  params: readonly unknown[],
  qualify: (text: string) => string,
): string {
  const call = text
    .split(/\$(\d+)/)
    .map((part, i) => (i % 2 === 0 ? qualify(part) : literal(params[Number(part) - 1])))
    .join('');
  return `${LOCAL_SETTINGS}; ${call}`;
}

/** A value as text in a statement. */
export function literal(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  const text = String(value);
  return text.includes('\\') || text.includes("'") ? ` E'${text.replace(/[\\']/g, '$&$&')}'` : ` '${text}'`;
}
