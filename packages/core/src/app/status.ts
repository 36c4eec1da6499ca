// The status of a workflow as callers see it, made from its row.

import { checkWorkflowID, type Codec } from '../codec/index.ts';
import { WorkflowTimeoutError } from '../errors/index.ts';
import { readWorkflow, type WorkflowRow } from '../store/reading.ts';
import type { PawlCore } from './core.ts';

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

export type WorkflowState =
  | 'ENQUEUED'
  | 'DELAYED'
  | 'PENDING'
  | 'SUCCESS'
  | 'ERROR'
  | 'CANCELLED'
  | 'MAX_RECOVERY_ATTEMPTS_EXCEEDED';

/** Times are milliseconds of the epoch by the database's clock. */
export interface WorkflowStatus {
  workflowID: string;
  status: WorkflowState;
  name: string;
  /** The arguments, in order. In lists only with `load: ['input']`. */
  input?: unknown[];
  output?: unknown;
  error?: unknown;
  createdAt: number;
  updatedAt: number;
  startedAt: number | null;
  completedAt: number | null;
  /** Who runs it or ran it last. */
  executorID: string | null;
  applicationVersion: string | null;
  /** How often it was taken over from a process that had died. */
  recoveryAttempts: number;
  queueName: string | null;
  priority: number;
  deduplicationID: string | null;
  partitionKey: string | null;
  parentWorkflowID: string | null;
  forkedFrom: string | null;
  timeoutMs: number | null;
  deadline: number | null;
  attributes: Record<string, JsonValue> | null;
  authenticatedUser: string | null;
  /** It waits outside of memory. */
  parked: boolean;
  /** Why it cannot go on here, if it cannot. */
  blocked: string | null;
}

export async function readStatus(core: PawlCore, workflowID: string): Promise<WorkflowStatus | null> {
  const { database } = core.outsideTransaction('getStatus');
  const row = await readWorkflow(database, checkWorkflowID(workflowID));
  return row === undefined ? null : toStatus(core.codec, row);
}

export function toStatus(codec: Codec, row: WorkflowRow): WorkflowStatus {
  const status: WorkflowStatus = {
    workflowID: row.id,
    status: row.status as WorkflowState,
    name: row.name,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    executorID: row.executor_id,
    applicationVersion: row.version,
    recoveryAttempts: row.attempts,
    queueName: row.queue_name,
    priority: row.priority,
    deduplicationID: row.deduplication_id,
    partitionKey: row.partition_key,
    parentWorkflowID: row.parent_id,
    forkedFrom: row.forked_from,
    timeoutMs: row.timeout_ms,
    deadline: row.deadline,
    attributes: row.attributes as Record<string, JsonValue> | null,
    authenticatedUser: row.auth_user,
    parked: row.status === 'PENDING' && row.owner === null && row.blocked === null,
    blocked: row.blocked,
  };
  if (row.input !== undefined) status.input = (codec.decode(row.input) as unknown[] | undefined) ?? [];
  if (row.output !== undefined && row.output !== null) status.output = codec.decode(row.output);
  if (row.error !== undefined && row.error !== null) {
    // A cancelled one has an error only where its deadline passed.
    status.error =
      row.status === 'CANCELLED' ? new WorkflowTimeoutError(row.id) : codec.decodeError(row.error);
  }
  return status;
}
