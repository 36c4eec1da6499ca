// Reads for people and management: one workflow, lists with filters, steps, events, messages, executors. Keyset
// paging, never OFFSET; payloads only when asked for.

import { textArray } from './arrays.ts';
import type { Database, Queryable } from './database.ts';

export interface WorkflowRow {
  id: string;
  name: string;
  status: string;
  owner: string | null;
  executor_id: string | null;
  fence: number;
  version: string | null;
  attempts: number;
  priority: number;
  created_at: number;
  updated_at: number;
  started_at: number | null;
  completed_at: number | null;
  wake_at: number | null;
  deadline: number | null;
  timeout_ms: number | null;
  parent_id: string | null;
  forked_from: string | null;
  queue_name: string | null;
  deduplication_id: string | null;
  partition_key: string | null;
  blocked: string | null;
  auth_user: string | null;
  attributes: unknown;
  input?: string | null;
  output?: string | null;
  error?: string | null;
  /** For the cursor: exact, where a float of milliseconds is not. */
  created_key: string;
}

const COLUMNS = `w.id, w.name, w.status, w.owner::text, e.executor_id, w.fence, w.version, w.attempts, w.priority,
  trunc(pawl.epoch_ms(w.created_at)) AS created_at, trunc(pawl.epoch_ms(w.updated_at)) AS updated_at,
  trunc(pawl.epoch_ms(w.started_at)) AS started_at, trunc(pawl.epoch_ms(w.completed_at)) AS completed_at,
  trunc(pawl.epoch_ms(w.wake_at)) AS wake_at, trunc(pawl.epoch_ms(w.deadline)) AS deadline, w.timeout_ms, w.parent_id, w.forked_from,
  w.queue_name, w.deduplication_id, w.partition_key, w.blocked, w.auth_user, w.attributes, w.created_at::text AS created_key`;
const FROM = `FROM pawl.workflow w LEFT JOIN pawl.executor e ON e.number = w.owner`;

export async function readWorkflow(database: Database, id: string): Promise<WorkflowRow | undefined> {
  const { rows } = await database.query<WorkflowRow>(
    `SELECT ${COLUMNS}, w.input, w.output, w.error ${FROM} WHERE w.id = $1 AND w.status <> 'RESERVED'`,
    [id],
  );
  return rows[0];
}

export interface WorkflowQuery {
  workflowIDs?: readonly string[] | undefined;
  idPrefix?: string | undefined;
  names?: readonly string[] | undefined;
  statuses?: readonly string[] | undefined;
  startTime?: number | undefined;
  endTime?: number | undefined;
  queueName?: string | undefined;
  executorID?: string | undefined;
  applicationVersion?: string | undefined;
  parentWorkflowID?: string | undefined;
  authenticatedUser?: string | undefined;
  attributes?: string | undefined;
  limit: number;
  after?: { createdKey: string; id: string } | undefined;
  descending: boolean;
  load: readonly ('input' | 'output')[];
}

export async function listWorkflows(database: Database, query: WorkflowQuery): Promise<WorkflowRow[]> {
  const params: unknown[] = [];
  const where = [`w.status <> 'RESERVED'`];
  const add = (condition: (placeholder: string) => string, value: unknown) => {
    if (value === undefined) return;
    params.push(value);
    where.push(condition(`$${params.length}`));
  };
  add((p) => `w.id = ANY (${p}::text::text[])`, query.workflowIDs && textArray(query.workflowIDs));
  if (query.idPrefix !== undefined && query.idPrefix !== '') {
    // A range on the primary key: the collation compares bytes. No byte of UTF-8 is above 0xf4.
    add((p) => `w.id >= ${p}`, query.idPrefix);
    add((p) => `left(w.id, length(${p})) = ${p}`, query.idPrefix);
  }
  add((p) => `w.name = ANY (${p}::text::text[])`, query.names && textArray(query.names));
  add((p) => `w.status = ANY (${p}::text::text[])`, query.statuses && textArray(query.statuses));
  add((p) => `w.created_at >= to_timestamp(${p}::float8 / 1000)`, query.startTime);
  add((p) => `w.created_at <= to_timestamp(${p}::float8 / 1000)`, query.endTime);
  add((p) => `w.queue_name = ${p}`, query.queueName);
  add(
    (p) => `w.owner IN (SELECT x.number FROM pawl.executor x WHERE x.executor_id = ${p})`,
    query.executorID,
  );
  add((p) => `w.version = ${p}`, query.applicationVersion);
  add((p) => `w.parent_id = ${p}`, query.parentWorkflowID);
  add((p) => `w.auth_user = ${p}`, query.authenticatedUser);
  add((p) => `w.attributes @> ${p}::text::jsonb`, query.attributes);
  const direction = query.descending ? 'DESC' : 'ASC';
  if (query.after !== undefined) {
    params.push(query.after.createdKey, query.after.id);
    where.push(
      `(w.created_at, w.id COLLATE "POSIX") ${query.descending ? '<' : '>'} ($${params.length - 1}::text::timestamptz, $${params.length})`,
    );
  }
  params.push(query.limit);
  const payloads = `${query.load.includes('input') ? ', w.input' : ''}${query.load.includes('output') ? ', w.output, w.error' : ''}`;
  const { rows } = await database.query<WorkflowRow>(
    `SELECT ${COLUMNS}${payloads} ${FROM} WHERE ${where.join(' AND ')}
     ORDER BY w.created_at ${direction}, w.id COLLATE "POSIX" ${direction} LIMIT $${params.length}`,
    params,
  );
  return rows;
}

export interface StepRow {
  step_id: number;
  kind: string;
  name: string | null;
  target: string | null;
  outcome: string | null;
  child_id: string | null;
  output: string | null;
  error: string | null;
  attempts: number | null;
  started_at: number | null;
  completed_at: number | null;
}

export async function listSteps(database: Database, id: string): Promise<StepRow[]> {
  const { rows } = await database.query<StepRow>(
    `SELECT step_id, kind, name, target, outcome, child_id, output, error, attempts,
       trunc(pawl.epoch_ms(started_at)) AS started_at, trunc(pawl.epoch_ms(completed_at)) AS completed_at
     FROM pawl.step WHERE workflow_id = $1 ORDER BY step_id`,
    [id],
  );
  return rows;
}

export interface EventRow {
  key: string;
  seq: number;
  value: string | null;
  created_at: number;
}

/** Every value that was set, in order. */
export async function listEvents(database: Database, id: string): Promise<EventRow[]> {
  const { rows } = await database.query<EventRow>(
    'SELECT key, seq, value, trunc(pawl.epoch_ms(created_at)) AS created_at FROM pawl.event WHERE workflow_id = $1 ORDER BY seq',
    [id],
  );
  return rows;
}

export interface MessageRow {
  id: string;
  topic: string;
  body: string | null;
  consumed_by: number | null;
  sender: string | null;
  created_at: number;
}

export async function listMessages(database: Database, id: string): Promise<MessageRow[]> {
  const { rows } = await database.query<MessageRow>(
    `SELECT id, topic, body, consumed_by, sender, trunc(pawl.epoch_ms(created_at)) AS created_at
     FROM pawl.message WHERE destination = $1 ORDER BY sequence`,
    [id],
  );
  return rows;
}

export interface ExecutorListRow {
  number: string | number;
  executor_id: string;
  application_version: string | null;
  host: string | null;
  pid: number | null;
  started_at: number;
  lease_until: number;
  gone_at: number | null;
  alive: boolean;
  active: number;
}

export async function listExecutors(on: Queryable): Promise<ExecutorListRow[]> {
  const { rows } = await on.query<ExecutorListRow>(
    `SELECT e.number, e.executor_id, e.application_version, e.host, e.pid, trunc(pawl.epoch_ms(e.started_at)) AS started_at,
       trunc(pawl.epoch_ms(e.lease_until)) AS lease_until, trunc(pawl.epoch_ms(e.gone_at)) AS gone_at,
       e.gone_at IS NULL AND e.lease_until > pawl.clock() AS alive,
       (SELECT count(*)::integer FROM pawl.workflow w WHERE w.owner = e.number AND w.status = 'PENDING') AS active
     FROM pawl.executor e ORDER BY e.number`,
  );
  return rows;
}

export interface WaitingRow {
  /** null: of no queue, and the only ones that park. */
  queue: string | null;
  parked: number;
  /** To be run, and nobody runs it. */
  due: number;
  /** How long the first of those has been. */
  oldestSeconds: number;
}

/**
 * What nobody runs: one row for what is parked or due, and one for each queue, for what waits in it and is not delayed.
 * Walks their partial indexes: 100,000 take about 20 ms, in a queue about 100.
 */
export async function countWaiting(database: Database): Promise<WaitingRow[]> {
  const { rows } = await database.query<{
    queue: string | null;
    parked: number;
    due: number;
    oldest: number;
  }>(
    `SELECT NULL AS queue, (count(*) FILTER (WHERE w.wake_at IS NULL OR w.wake_at > c.now))::float8 AS parked,
       (count(*) FILTER (WHERE w.wake_at <= c.now))::float8 AS due,
       coalesce(extract(epoch FROM max(c.now) - min(w.wake_at) FILTER (WHERE w.wake_at <= c.now)), 0)::float8 AS oldest
     FROM pawl.workflow w, (SELECT pawl.clock() AS now) c
     WHERE w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NULL
     UNION ALL
     SELECT q.name, 0, coalesce(e.count, 0)::float8,
       coalesce(greatest(0, extract(epoch FROM pawl.clock() - e.since)), 0)::float8
     FROM pawl.queue q LEFT JOIN (
       SELECT w.queue_name, count(*) AS count, min(coalesce(w.wake_at, w.created_at)) AS since
       FROM pawl.workflow w WHERE w.status = 'ENQUEUED' GROUP BY w.queue_name) e ON e.queue_name = q.name`,
  );
  return rows.map(({ oldest, ...row }) => ({ ...row, oldestSeconds: oldest }));
}
