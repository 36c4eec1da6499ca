// The history of a workflow as a plain value: what it was given and every result that was recorded, in the stored
// form. Can be kept as JSON beside a test, to replay later versions of the code on it.

import { internals } from '../app/internals.ts';
import type { Pawl } from '../app/pawl.ts';
import { NonExistentWorkflowError } from '../errors/index.ts';
import type { JournalRow } from '../store/lifecycle.ts';

/** JSON-able. What is inside may change with versions of Pawl; `format` says which form it is. */
export interface History {
  readonly format: 1;
  readonly workflowID: string;
  readonly name: string;
  readonly status: string;
  /** The arguments, as the serializer wrote them. */
  readonly input: string | null;
  readonly steps: readonly JournalRow[];
}

/**
 * Reads the history of a workflow, running or ended.
 *
 * @throws NonExistentWorkflowError if there is no such workflow
 * @example
 * const history = await exportHistory(pawl, 'order-17');
 * await writeFile('histories/order-17.json', JSON.stringify(history));
 */
export async function exportHistory(pawl: Pawl, workflowID: string): Promise<History> {
  const { database, codec } = internals(pawl);
  const { rows } = await database.query<Pick<History, 'name' | 'status' | 'input' | 'steps'>>(
    `SELECT w.name, w.status, w.input, (
       SELECT coalesce(json_agg(json_build_object('stepID', s.step_id, 'kind', s.kind, 'name', s.name,
         'target', s.target, 'childID', s.child_id, 'outcome', s.outcome, 'output', s.output, 'error', s.error,
         'seq', s.seq, 'attempts', s.attempts, 'deadline', pawl.epoch_ms(s.deadline),
         'completed', s.completed_at IS NOT NULL) ORDER BY s.step_id), '[]')
       FROM pawl.step s WHERE s.workflow_id = w.id) AS steps
     FROM pawl.workflow w
     WHERE w.id = $1 AND w.status <> 'RESERVED'`,
    [workflowID],
  );
  const row = rows[0];
  if (row === undefined) throw new NonExistentWorkflowError(workflowID);
  // A history is kept in files: it does not hold the power to answer a hook.
  const hidden = codec.encode({ url: '/hooks/hidden', token: 'hidden' });
  const steps = row.steps.map((step) => (step.kind === 'createHook' ? { ...step, output: hidden } : step));
  return { format: 1, workflowID, ...row, steps };
}
