// Two connections held at the critical point: the first has acted and not committed, the second must wait for it.
// Also the operations that the tests write, in as few words as they allow. Knows the store, not the engine.
import { createDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import type { Database, Lane, Queryable, TextRow } from '../../packages/core/src/store/database.ts';
import { flush } from '../../packages/core/src/store/flush.ts';
import { type ClaimedWorkflow, claim } from '../../packages/core/src/store/lifecycle.ts';
import { migrate } from '../../packages/core/src/store/migrate.ts';
import type { FlushResult, Operation, WaitPart } from '../../packages/core/src/store/operations.ts';
import { openPgDatabase } from '../../packages/core/src/store/pg-database.ts';

/** The executor that runs what the tests start, and the one that claims from it. */
export const OWNER = 1;
export const PEER = 2;

/** One raw connection: a lane that sends texts as the store's own lanes do, and a client for the rest. */
export interface Side extends Lane {
  readonly on: Queryable;
  flush(operations: Operation[], executor?: number, careful?: boolean): Promise<FlushResult>;
  claim(): Promise<ClaimedWorkflow[]>;
  begin(): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  waits(): Promise<boolean>;
}

export interface Sides {
  a: Side;
  b: Side;
  /** A third one, to look with. */
  eye: Side;
  /** `first` acts, `second` waits for its commit; both answers. */
  interleave<A, B>(
    first: (side: Side) => Promise<A>,
    second: (side: Side) => Promise<B>,
    end?: 'commit' | 'rollback',
  ): Promise<[A, B]>;
  /** A connection without a transaction of its own, ended with the others. */
  connect(): Promise<pg.Client>;
  /** A workflow started by OWNER, under its first fence. */
  start(id: string): Promise<string>;
  row(id: string): Promise<{ status: string; owner: number | null; fence: number; due: boolean } | undefined>;
  count(table: 'workflow' | 'step' | 'message' | 'event' | 'waiter', id: string): Promise<number>;
}

const ID = {
  workflow: 'id',
  step: 'workflow_id',
  message: 'destination',
  event: 'workflow_id',
  waiter: 'target',
};

/** A migrated schema in a database of its own, for the file that calls this; empty before each test. */
export function twoConnections(): Sides {
  let database: Database;
  let drop = async () => {};
  const clients: pg.Client[] = [];
  const sides = {} as Sides;

  beforeAll(async () => {
    const fresh = await createDatabase();
    drop = fresh.drop;
    database = openPgDatabase({
      connection: fresh.url,
      schema: 'pawl',
      poolSize: 1,
      applicationName: 'interleavings',
    });
    await migrate(database);
    const pids: number[] = [];
    sides.connect = async () => {
      const client = new pg.Client({ connectionString: fresh.url });
      clients.push(client);
      await client.connect();
      return client;
    };
    const connect = async (index: number): Promise<Side> => {
      const client = await sides.connect();
      await client.query(
        `SET lock_timeout = '10s'; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off`,
      );
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      pids[index] = rows[0]?.pid as number;
      return createSide(
        client,
        pids[index],
        (text) => database.qualify(text),
        () => sides.eye.on,
      );
    };
    sides.a = await connect(0);
    sides.b = await connect(1);
    sides.eye = await connect(2);
  });

  beforeEach(async () => {
    // What a failed test left open.
    await Promise.all([sides.a.rollback(), sides.b.rollback()]);
    for (const table of Object.keys(ID)) await sides.eye.on.query(`DELETE FROM pawl.${table}`);
  });

  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end()));
    await database.close();
    await drop();
  });

  sides.interleave = async (first, second, end = 'commit') => {
    await sides.a.begin();
    const one = await first(sides.a);
    let answered = false;
    const two = second(sides.b);
    two.then(
      () => (answered = true),
      () => (answered = true),
    );
    await expect
      .poll(async () => answered || (await sides.b.waits()), { interval: 2, timeout: 5000 })
      .toBe(true);
    if (answered) await two;
    expect(answered, 'the second did not wait for the first').toBe(false);
    await sides.a[end]();
    return [one, await two];
  };
  sides.start = async (id) => {
    await sides.eye.flush([starting(id)]);
    return id;
  };
  sides.row = async (id) => {
    const { rows } = await sides.eye.on.query<{
      status: string;
      owner: string | null;
      fence: number;
      due: boolean;
    }>(
      'SELECT status, owner, fence, wake_at IS NOT NULL AND wake_at <= pawl.clock() AS due FROM pawl.workflow WHERE id = $1',
      [id],
    );
    const [found] = rows;
    return found && { ...found, owner: found.owner === null ? null : Number(found.owner) };
  };
  sides.count = async (table, id) => {
    const text = `SELECT count(*)::integer AS n FROM pawl.${table} WHERE ${ID[table]} = $1`;
    const { rows } = await sides.eye.on.query<{ n: number }>(text, [id]);
    return rows[0]?.n as number;
  };
  return sides;
}

function createSide(
  client: pg.Client,
  pid: number,
  qualify: (text: string) => string,
  eye: () => Queryable,
): Side {
  let open = false;
  const on: Queryable = {
    query: async (text, params) => {
      const { rows, rowCount } = await client.query(qualify(text), params as unknown[]);
      return { rows, rowCount: rowCount ?? 0 };
    },
  };
  const send = async (text: string, params: readonly unknown[]): Promise<TextRow[]> => {
    const { rows } = await client.query({
      text: qualify(text),
      values: params as unknown[],
      rowMode: 'array',
      types: { getTypeParser: () => (value: string) => value },
    });
    return rows;
  };
  const side: Side = {
    on,
    // A call that fails leaves the transaction as it was: the store's own calls have one each.
    call: async (text, params) => {
      if (!open) return send(text, params);
      await client.query('SAVEPOINT call');
      try {
        return await send(text, params);
      } catch (error) {
        await client.query('ROLLBACK TO call');
        throw error;
      }
    },
    close: async () => {},
    flush: (operations, executor = OWNER, careful = false) => flush(side, executor, operations, { careful }),
    claim: () =>
      claim(side, {
        executor: PEER,
        limit: 100,
        served: [{ name: 'job', version: '1', maxRecoveryAttempts: 10 }],
        anyVersion: false,
        blocked: false,
      }),
    begin: async () => {
      await client.query('BEGIN');
      open = true;
    },
    commit: async () => {
      open = false;
      await client.query('COMMIT');
    },
    rollback: async () => {
      open = false;
      await client.query('ROLLBACK');
    },
    waits: async () => {
      const { rows } = await eye().query(
        `SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'`,
        [pid],
      );
      return rows.length > 0;
    },
  };
  return side;
}

const fenced = (
  workflowID: string,
  fence: number,
  stepID: number | null,
  seq: number | null,
  keep = false,
) => ({
  fenced: { workflowID, fence, stepID, seq, keep },
});

const STEP = {
  target: null,
  error: null,
  childID: null,
  outcome: null,
  attempts: 1,
  begun: false,
  durationMs: 1,
};

export function starting(
  id: string,
  { fence = 1, nonce = `nonce of ${id}`, input = null as string | null, chosen = false } = {},
): Operation {
  return {
    start: { workflowID: id, nonce, fence, name: 'job', version: '1', input, chosen, extra: null },
  };
}

export function checkpoint(id: string, stepID: number, output: string, fence = 1): Operation {
  return {
    ...fenced(id, fence, stepID, stepID, true),
    step: { ...STEP, kind: 'step', name: 'step', output },
  };
}

export function sending(to: string, messageID: string, topic = 'topic', park = false): Operation {
  return { message: { destination: to, id: messageID, topic, body: messageID, sender: null, park } };
}

export function sendingFrom(id: string, stepID: number, to: string): Operation {
  const message = {
    destination: to,
    id: `${id}-${stepID}`,
    topic: 'topic',
    body: 'body',
    sender: id,
    park: false,
  };
  return {
    ...fenced(id, 1, stepID, stepID),
    step: { ...STEP, kind: 'send', name: null, target: to, output: null },
    message,
  };
}

export function startingChild(id: string, stepID: number, child: string): Operation {
  return {
    ...starting(child, { chosen: true }),
    ...fenced(id, 1, stepID, stepID),
    step: { ...STEP, kind: 'start', name: 'job', output: null, childID: child },
  };
}

export function settingEvent(id: string, stepID: number, value: string, once = false): Operation {
  return {
    ...fenced(id, 1, stepID, stepID),
    step: { ...STEP, kind: 'setEvent', name: 'key', output: null },
    event: { key: 'key', value, once },
  };
}

export function ending(id: string, output: string, fence = 1): Operation {
  return { ...fenced(id, fence, null, null), end: { status: 'SUCCESS', output, error: null } };
}

export function waiting(id: string, stepID: number, kind: WaitPart['kind'], target: string): Operation {
  const name = kind === 'getEvent' ? 'key' : null;
  return { ...fenced(id, 1, stepID, stepID), wait: { kind, name, target, timeoutMs: null } };
}

export function parking(id: string, ...awaited: string[]): Operation {
  return { ...fenced(id, 1, null, null), park: awaited };
}
