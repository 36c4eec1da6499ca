// Owns the SQL of what comes from outside, once: events of webhooks and answers to hooks (sql/0009_hooks.sql).
// Never sees a token, only its hash.
import type { Database, Queryable } from './database.ts';
import type { Aftermath } from './operations.ts';

/** Notes, inside the transaction that acts on it, that an event was taken. False: it was taken before. */
export async function takeEvent(
  database: Database,
  tx: Queryable,
  event: { id: string; retentionMs: number },
): Promise<boolean> {
  const { rows } = await tx.query<{ taken: boolean }>(
    database.qualify('SELECT pawl.take_event($1::text, $2::float8) AS taken'),
    [event.id, event.retentionMs],
  );
  return rows[0]?.taken === true;
}

/** Who is to be told of a message: the state of its destination and the process that runs it. */
export async function readDestination(
  database: Database,
  tx: Queryable,
  workflowID: string,
): Promise<{ status: string; executor: number | null } | undefined> {
  const { rows } = await tx.query<{ status: string; owner: string | number | null }>(
    database.qualify('SELECT w.status, w.owner FROM pawl.workflow w WHERE w.id = $1::text'),
    [workflowID],
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  return { status: row.status, executor: row.owner === null ? null : Number(row.owner) };
}

export interface StoredHook {
  readonly workflowID: string;
  readonly topic: string;
}

/** Undefined: unknown, expired, or its workflow has ended without an answer. */
export async function findHook(database: Database, tokenHash: string): Promise<StoredHook | undefined> {
  const { rows } = await database.query<{ workflow_id: string; topic: string }>(
    'SELECT workflow_id, topic FROM pawl.find_hook($1::text)',
    [tokenHash],
  );
  const row = rows[0];
  return row === undefined ? undefined : { workflowID: row.workflow_id, topic: row.topic };
}

export interface HookAnswer {
  readonly tokenHash: string;
  /** What tells this answer from others. */
  readonly answer: string;
  readonly body: string | null;
  /** In the place of a body: `recv` rejects. */
  readonly error: string | null;
  /** Given to whoever receives it. */
  readonly trace: string | undefined;
}

export interface HookOutcome extends Aftermath {
  /** `repeated`: the same answer once more. `taken`: another one was first. */
  readonly outcome: 'answered' | 'repeated' | 'taken' | 'unknown';
  /** The answer that stands, if one was first. */
  readonly standing: string | null;
}

export async function answerHook(
  database: Database,
  executor: number,
  given: HookAnswer,
): Promise<HookOutcome> {
  const { rows } = await database.query<Record<'op' | 'outcome' | 'output' | 'detail', string | null>>(
    `SELECT op, outcome, output, detail
     FROM pawl.answer_hook($1::bigint, $2::text, $3::text, $4::text, $5::text, $6::text)`,
    [executor, given.tokenHash, given.answer, given.body, given.error, given.trace ?? null],
  );
  const said = rows.find(({ op }) => Number(op) === 0);
  return {
    outcome: said?.outcome as HookOutcome['outcome'],
    standing: said?.detail ?? null,
    fired: false,
    ready: rows.some(({ outcome }) => outcome === 'ready'),
    hints: rows
      .filter(({ outcome }) => outcome === 'hint')
      .map(({ output, detail }) => ({ workflowID: output as string, executor: Number(detail) })),
  };
}
