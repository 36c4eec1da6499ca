// The sweeps of what is over (sql/0008_retention.sql): one batch a call, one round trip.

import type { Queryable } from './database.ts';

/** How long finished workflows are kept: those that succeeded, and all others. */
export interface Retention {
  completedMs: number;
  failedMs: number;
}

export interface Swept {
  deleted: number;
  /** There is another batch, and it is this process's turn. */
  more: boolean;
}

/** Workflows that one batch looks at, and rows of journals that it deletes, about. */
const LOOKED_AT = 1000;
const ROWS = 1000;

export async function sweepWorkflows(on: Queryable, retention: Retention, pauseMs: number): Promise<Swept> {
  const { rows } = await on.query<Swept>(
    'SELECT deleted, more FROM pawl.sweep_workflows($1, $2, $3, $4, $5)',
    [retention.completedMs, retention.failedMs, pauseMs, LOOKED_AT, ROWS],
  );
  return rows[0] ?? { deleted: 0, more: false };
}

export async function sweepWaiters(on: Queryable, ageMs: number, pauseMs: number): Promise<Swept> {
  const { rows } = await on.query<Swept>('SELECT deleted, more FROM pawl.sweep_waiters($1, $2, $3)', [
    ageMs,
    pauseMs,
    ROWS,
  ]);
  return rows[0] ?? { deleted: 0, more: false };
}
