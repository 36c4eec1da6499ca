// Debounced starts: one call of the schema's function, within a transaction.

import type { Queryable } from './database.ts';
import type { StartPart } from './operations.ts';

export interface DebounceCall {
  /** What is begun with its input; its id is that of the run if there is none that waits. */
  start: StartPart;
  key: string;
  periodMs: number;
  /** From the first call of the run; null: no bound. */
  maxWaitMs: number | null;
  /** The workflow that calls, and that the transaction is a step of. */
  caller: string | null;
  /** An earlier try may have been committed. */
  again: boolean;
}

export interface Debounced {
  workflowID: string;
  /** Milliseconds until it begins, if nobody calls again; 0: it may be claimed. */
  dueMs: number;
}

const CALL = `SELECT workflow_id, due_ms FROM pawl.debounce($1::text, $2::float8, $3::float8, $4::boolean, $5::text, $6::text, $7::text,
 $8::integer, $9::text, $10::text, $11::text)`;

/** `tx` sends texts as they are; it must be READ COMMITTED, since the call looks again behind each lock. */
export async function debounce(
  tx: Pick<Queryable, 'query'>,
  qualify: (text: string) => string,
  { start, key, periodMs, maxWaitMs, caller, again }: DebounceCall,
): Promise<Debounced> {
  const { workflowID, nonce, fence, name, input, trace } = start;
  const extra = { ...(JSON.parse(start.extra ?? '{}') as object), trace };
  const { rows } = await tx.query<{ workflow_id: string; due_ms: number | null }>(qualify(CALL), [
    ...[key, periodMs, maxWaitMs, again, caller],
    ...[workflowID, nonce, fence, name, input, JSON.stringify(extra)],
  ]);
  const [row] = rows as [{ workflow_id: string; due_ms: number | null }];
  return { workflowID: row.workflow_id, dueMs: row.due_ms ?? 0 };
}
