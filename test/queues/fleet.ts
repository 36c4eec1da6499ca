// Processes on one database that run queues, are killed and come again; and the checker, which reads what the processes
// noted and what the workflow table says, and looks for an instant over a limit.
import type { PawlConfig, QueueOptions } from '@pawl/core';
import { createDatabase } from '@pawl/test-support';
import pg from 'pg';
import { expect } from 'vitest';
import { type Program, startProgram } from '../processes-suite/process.ts';
import type { QueueWorker } from './processes/queue-worker.ts';

const WORKER = new URL('processes/queue-worker.ts', import.meta.url);

export interface Fleet extends AsyncDisposable {
  readonly url: string;
  /** A new process, launched. */
  start(): Promise<Program<QueueWorker>>;
  /** Ends one at once, and closes what it had begun in the notes. */
  kill(program: Program<QueueWorker>): Promise<void>;
  sql<Row = Record<string, unknown>>(text: string, params?: unknown[]): Promise<Row[]>;
  /** Resolves when so many have ended. */
  ended(count: number, timeoutMs?: number): Promise<void>;
  /** The ids of the workflows in the order in which they first began. */
  order(): Promise<string[]>;
}

export async function createFleet(
  queues: Record<string, QueueOptions>,
  config: PawlConfig = {},
): Promise<Fleet> {
  const database = await createDatabase();
  const pool = new pg.Pool({ connectionString: database.url, max: 3 });
  pool.on('error', () => {});
  await pool.query(`CREATE TABLE note (n bigint GENERATED ALWAYS AS IDENTITY, workflow_id text, pid integer, what text,
    at timestamptz NOT NULL DEFAULT clock_timestamp())`);
  const programs = new Set<Program<QueueWorker>>();
  const sql: Fleet['sql'] = async <Row>(text: string, params?: unknown[]) =>
    (await pool.query(text, params)).rows as Row[];
  return {
    url: database.url,
    sql,
    start: async () => {
      const program = await startProgram<QueueWorker>(WORKER, {
        DATABASE: database.url,
        CONFIG: JSON.stringify(config),
        QUEUES: JSON.stringify(queues),
      });
      programs.add(program);
      await program.call('launch');
      return program;
    },
    kill: async (program) => {
      programs.delete(program);
      await program.kill();
      // What it sent last may still be on its way into the table.
      await expect
        .poll(async () => {
          const left = await sql(
            `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'
             AND query LIKE 'INSERT INTO note%' AND pid <> pg_backend_pid()`,
          );
          return left.length;
        })
        .toBe(0);
      await sql(`INSERT INTO note (pid, what) VALUES ($1, 'killed')`, [program.pid]);
    },
    ended: (count, timeoutMs = 60_000) =>
      expect
        .poll(
          async () =>
            (
              await sql<{ n: number }>(
                `SELECT count(*)::integer AS n FROM pawl.workflow WHERE status IN ('SUCCESS', 'ERROR', 'CANCELLED')`,
              )
            )[0]?.n,
          { timeout: timeoutMs, interval: 50 },
        )
        .toBe(count),
    order: async () => {
      const rows = await sql<{ id: string }>(
        `SELECT workflow_id AS id FROM note WHERE what = 'begin' GROUP BY workflow_id ORDER BY min(n)`,
      );
      return rows.map(({ id }) => id);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...programs].map((program) => program.kill()));
      await pool.end();
      await database.drop();
    },
  };
}

interface Span {
  from: number;
  to: number;
}

/** How many of them there were at once, at most. One that begins when another one ends comes after it. */
export function mostAtOnce(spans: readonly Span[]): number {
  const turns = spans.flatMap(({ from, to }) => [
    { at: from, by: 1 },
    { at: to, by: -1 },
  ]);
  let now = 0;
  let most = 0;
  for (const { by } of turns.sort((a, b) => a.at - b.at || a.by - b.by)) most = Math.max(most, (now += by));
  return most;
}

/** How many of the moments lie in one period, at most. */
export function mostWithin(moments: readonly number[], periodMs: number): number {
  const sorted = [...moments].sort((a, b) => a - b);
  let most = 0;
  for (let first = 0, last = 0; last < sorted.length; last++) {
    while ((sorted[last] as number) - (sorted[first] as number) >= periodMs) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

export interface Observed {
  /** By what the workflow table says: from the first claim to the end. */
  atOnce: number;
  perPartition: number;
  starts: number[];
  /** By what the bodies noted: while a step ran in a process that lived. */
  bodies: number;
  bodiesPerPartition: number;
  perProcess: number;
}

/** What there was of a queue. Microseconds, so that no rounding puts an end before a beginning. */
export async function observe(fleet: Fleet, queue: string): Promise<Observed> {
  const held = await fleet.sql<{ key: string; started: string; completed: string | null }>(
    `SELECT coalesce(partition_key, '') AS key, (extract(epoch FROM started_at) * 1000000)::bigint::text AS started,
       (extract(epoch FROM completed_at) * 1000000)::bigint::text AS completed
     FROM pawl.workflow WHERE queue_name = $1 AND started_at IS NOT NULL`,
    [queue],
  );
  const slots = held.map(({ key, started, completed }) => ({
    key,
    from: Number(started),
    to: completed === null ? Number.POSITIVE_INFINITY : Number(completed),
  }));
  const notes = await fleet.sql<{ id: string; key: string; pid: number; what: string; at: string }>(
    `SELECT n.workflow_id AS id, coalesce(w.partition_key, '') AS key, n.pid, n.what,
       (extract(epoch FROM n.at) * 1000000)::bigint::text AS at
     FROM note n LEFT JOIN pawl.workflow w ON w.id = n.workflow_id
     WHERE n.what = 'killed' OR w.queue_name = $1 ORDER BY n.n`,
    [queue],
  );
  const bodies: (Span & { key: string; pid: number })[] = [];
  for (const [i, { id, key, pid, what, at }] of notes.entries()) {
    if (what !== 'begin') continue;
    const end = notes
      .slice(i + 1)
      .find(
        (other) =>
          other.pid === pid && (other.what === 'killed' || (other.id === id && other.what === 'end')),
      );
    bodies.push({
      key,
      pid,
      from: Number(at),
      to: end === undefined ? Number.POSITIVE_INFINITY : Number(end.at),
    });
  }
  const most = <T extends Span>(spans: readonly T[], of: (span: T) => string | number): number =>
    Math.max(
      0,
      ...[...new Set(spans.map(of))].map((group) => mostAtOnce(spans.filter((span) => of(span) === group))),
    );
  return {
    atOnce: mostAtOnce(slots),
    perPartition: most(slots, ({ key }) => key),
    starts: slots.map(({ from }) => from / 1000),
    bodies: mostAtOnce(bodies),
    bodiesPerPartition: most(bodies, ({ key }) => key),
    perProcess: most(bodies, ({ pid }) => pid),
  };
}
