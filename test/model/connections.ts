// The connections of one schedule: real statements of the store that are left half way, at a lock, at a look at the
// clock or before their commit, until the schedule lets them go on. Knows Postgres, not Pawl.
import pg from 'pg';
import type { Lane, Queryable, Row, TextRow } from '../../packages/core/src/store/database.ts';

/** What a statement is sent with: the store's functions take one or the other. */
export type Side = Lane & Queryable;

/** How far a statement goes before the schedule lets it go on. */
export interface Fate {
  /** It has done everything, and holds its locks, until `finish`. */
  held: boolean;
  /** It waits at its so-manieth look at the clock, which most functions take between lock and look. 0: it does not. */
  pauseAt: number;
}

export interface Statement {
  readonly label: string;
  state: 'running' | 'blocked' | 'paused' | 'open' | 'done';
  /** Of the call; it counts once the state is `done`. */
  answer?: unknown;
  error?: unknown;
}

/** What a schedule needs of a database. */
export interface Connections {
  /** Statements can be left half way: there is more than one connection. */
  readonly concurrent: boolean;
  /** Statements under way. */
  readonly live: readonly Statement[];
  /** A connection is free. */
  readonly free: boolean;
  /** Sends it, and returns when it is through or cannot go on. */
  send(label: string, work: (side: Side) => Promise<unknown>, fate: Fate): Promise<Statement>;
  /** Ends one that is `open`, or lets one that is `paused` go on. */
  commit(statement: Statement): Promise<void>;
  rollback(statement: Statement): Promise<void>;
  /** Breaks off one that is `blocked`: nothing of it is there. */
  cancel(statement: Statement): Promise<void>;
  /** A connection of the schedule's own, for looks and clocks. */
  readonly eye: Side;
  close(): Promise<void>;
}

const RAW = { getTypeParser: () => (value: unknown) => value } as unknown as pg.CustomTypesConfig;
const PAUSE_LOCK = 7;
const STUCK_MS = 10_000;

interface Live extends Statement {
  client: Client;
  fate: Fate;
  /** The eye holds the lock before which it pauses. */
  gated: boolean;
  answered: Promise<void>;
}

interface Client {
  pid: number;
  raw: pg.Client;
  side: Side;
  inTransaction: boolean;
}

const names = new Map<string, string>();
const nameOf = (text: string): string => {
  const name = names.get(text) ?? `model_${names.size}`;
  names.set(text, name);
  return name;
};

async function connect(url: string, qualify: (text: string) => string): Promise<Client> {
  const raw = new pg.Client({ connectionString: url });
  await raw.connect();
  await raw.query(`SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET deadlock_timeout = '20ms'; SET jit = off;
    SET client_min_messages = warning; SET timezone = 'UTC'`);
  const { rows } = await raw.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const client: Client = {
    pid: rows[0]?.pid as number,
    raw,
    inTransaction: false,
    side: {
      call: (text, params) =>
        guarded(async () => {
          const result = await raw.query({
            name: nameOf(text),
            text: qualify(text),
            values: params as unknown[],
            rowMode: 'array',
            types: RAW,
          } as unknown as pg.QueryArrayConfig);
          return result.rows as TextRow[];
        }),
      query: <R = Row>(text: string, params?: readonly unknown[]) =>
        guarded(async () => {
          const values = params as unknown[] | undefined;
          const result = await raw.query({ name: nameOf(text), text: qualify(text), values: values ?? [] });
          return { rows: result.rows as R[], rowCount: result.rowCount ?? 0 };
        }),
      close: async () => {},
    },
  };
  let last: Promise<unknown> = Promise.resolve();
  /** One after the other. The store sends some statements again after an error, as it may outside of transactions. */
  const guarded = <T>(send: () => Promise<T>): Promise<T> => {
    const answer = last.then(async () => {
      try {
        return await send();
      } catch (error) {
        if (client.inTransaction) await raw.query('ROLLBACK TO call');
        throw error;
      }
    });
    last = answer.catch(() => {});
    return answer;
  };
  return client;
}

export async function openConnections(
  url: string,
  qualify: (text: string) => string,
  count: number,
): Promise<Connections> {
  const clients = await Promise.all(Array.from({ length: count }, () => connect(url, qualify)));
  const eye = await connect(url, qualify);
  const idle = [...clients];
  let live: Live[] = [];

  /** Waits until every statement is answered or stands before something that the schedule holds. */
  const settle = async (): Promise<void> => {
    const since = performance.now();
    for (;;) {
      if (performance.now() - since > STUCK_MS)
        throw new Error(`Stuck: ${live.map((each) => `${each.label} ${each.state}`).join('; ')}`);
      const running = live.filter((each) => each.state === 'running');
      if (running.length === 0) return;
      const holders = live.filter((each) => each.state === 'open' || each.state === 'paused');
      const first = Promise.race(running.map((each) => each.answered));
      // Nothing can be held: all come through.
      if (holders.length === 0 && live.length === 1 && live[0]?.gated === false) {
        await first;
        continue;
      }
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([first, new Promise((resolve) => (timer = setTimeout(resolve, 1)))]);
      clearTimeout(timer);
      await judge(
        live.filter((each) => each.state === 'running' || each.state === 'blocked'),
        holders,
      );
    }
  };

  /** A statement is blocked if what it waits for is held by one that stands still. A circle is left to Postgres. */
  const judge = async (waiting: Live[], holders: Live[]): Promise<void> => {
    if (!waiting.some((each) => each.state === 'running')) return;
    const rows = await eye.side.call('SELECT p, pg_blocking_pids(p)::text FROM unnest($1::text::int[]) p', [
      `{${waiting.map((each) => each.client.pid).join(',')}}`,
    ]);
    const still = new Set([eye.pid, ...holders.map((each) => each.client.pid)]);
    for (let found = true; found;) {
      found = false;
      for (const [pid, by] of rows) {
        const blockers = (by as string).slice(1, -1).split(',').filter(Boolean).map(Number);
        if (still.has(Number(pid)) || !blockers.some((blocker) => still.has(blocker))) continue;
        still.add(Number(pid));
        found = true;
        const statement = waiting.find((each) => each.client.pid === Number(pid));
        if (statement?.state === 'running')
          statement.state = blockers.includes(eye.pid) ? 'paused' : 'blocked';
      }
    }
  };

  const openGate = async (statement: Live): Promise<void> => {
    if (!statement.gated) return;
    statement.gated = false;
    await eye.side.call('SELECT pg_advisory_unlock($1, $2)', [
      String(PAUSE_LOCK),
      String(statement.client.pid),
    ]);
  };

  const through = (statement: Live): void => {
    statement.state = 'done';
    statement.client.inTransaction = false;
    live = live.filter((each) => each !== statement);
    idle.push(statement.client);
  };

  const again = async (): Promise<void> => {
    for (const each of live) if (each.state === 'blocked') each.state = 'running';
    await settle();
  };

  const end = async (statement: Live, how: 'COMMIT' | 'ROLLBACK'): Promise<void> => {
    try {
      await statement.client.raw.query(how);
    } catch (error) {
      statement.error ??= error;
    }
    through(statement);
  };

  return {
    concurrent: true,
    eye: eye.side,
    get live() {
      return live;
    },
    get free() {
      return idle.length > 0;
    },
    send: async (label, work, fate) => {
      const client = idle.pop() as Client;
      const gated = fate.pauseAt > 0;
      const statement: Live = { label, state: 'running', client, fate, gated, answered: Promise.resolve() };
      live.push(statement);
      client.inTransaction = fate.held || gated;
      if (gated)
        await eye.side.call('SELECT pg_advisory_lock($1, $2)', [String(PAUSE_LOCK), String(client.pid)]);
      if (client.inTransaction)
        await client.raw.query(`BEGIN; SET LOCAL model.pause = '${fate.pauseAt || ''}'; SAVEPOINT call`);
      statement.answered = work(client.side)
        .then(
          (answer) => void (statement.answer = answer),
          (error: unknown) => void (statement.error = error ?? new Error('refused')),
        )
        .then(async () => {
          await openGate(statement);
          if (!client.inTransaction) through(statement);
          else if (statement.error !== undefined) await end(statement, 'ROLLBACK');
          else if (fate.held) statement.state = 'open';
          else await end(statement, 'COMMIT');
        });
      await settle();
      return statement;
    },
    commit: async (statement) => {
      const one = statement as Live;
      if (one.state === 'paused') {
        one.state = 'running';
        await openGate(one);
      } else await end(one, 'COMMIT');
      await again();
    },
    rollback: async (statement) => {
      statement.error = new Error('rolled back');
      await end(statement as Live, 'ROLLBACK');
      await again();
    },
    cancel: async (statement) => {
      const one = statement as Live;
      one.state = 'running';
      await eye.side.call('SELECT pg_cancel_backend($1)', [String(one.client.pid)]);
      await one.answered;
      await again();
    },
    close: async () => {
      await Promise.all([...clients, eye].map((each) => each.raw.end()));
    },
  };
}
