// Management: what operators and programs do with workflows by their ids. Inside a workflow each verb is a recorded
// step.

import { checkWorkflowID, newID } from '../codec/index.ts';
import {
  ConfigurationError,
  NonExistentWorkflowError,
  ValidationError,
  WorkflowIDInUseError,
} from '../errors/index.ts';
import { classifyFault } from '../store/faults.ts';
import { cancel, forget, fork, resume } from '../store/lifecycle.ts';
import * as reading from '../store/reading.ts';
import { encodeAttributes } from './attributes.ts';
import { checkOptions } from './check-options.ts';
import type { PawlCore } from './core.ts';
import { type JsonValue, toStatus, type WorkflowState, type WorkflowStatus } from './status.ts';

const CONFLICTS = 10;

/** Many rows are locked at once: a deadlock is possible, and then the call is repeated. */
async function again<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (classifyFault(error) !== 'conflict' || attempt === CONFLICTS) throw error;
    }
  }
}

export interface WorkflowFilter {
  workflowIDs?: string[];
  idPrefix?: string;
  name?: string | string[];
  status?: WorkflowState | WorkflowState[];
  /** Created at or after, at or before. */
  startTime?: Date | string | number;
  endTime?: Date | string | number;
  queueName?: string;
  executorID?: string;
  applicationVersion?: string;
  parentWorkflowID?: string;
  authenticatedUser?: string;
  /** Those that have at least these. */
  attributes?: Record<string, JsonValue>;
  /** Default 100, at most 10,000. */
  limit?: number;
  /** From the answer before this one. */
  cursor?: string;
  /** By creation. Default 'asc': oldest first. */
  sort?: 'asc' | 'desc';
  load?: ('input' | 'output')[];
}

const FILTER: Record<keyof WorkflowFilter, true> = {
  workflowIDs: true,
  idPrefix: true,
  name: true,
  status: true,
  startTime: true,
  endTime: true,
  queueName: true,
  executorID: true,
  applicationVersion: true,
  parentWorkflowID: true,
  authenticatedUser: true,
  attributes: true,
  limit: true,
  cursor: true,
  sort: true,
  load: true,
};

export interface WorkflowList {
  workflows: WorkflowStatus[];
  /** For the next page; absent on the last. */
  cursor?: string;
}

export interface StepInfo {
  stepID: number;
  kind: string;
  name: string;
  output: unknown;
  error: unknown;
  childWorkflowID: string | null;
  attempts: number;
  startedAt: number | null;
  /** null while it waits or runs. */
  completedAt: number | null;
}

export async function listWorkflows(core: PawlCore, filter: WorkflowFilter = {}): Promise<WorkflowList> {
  const { database } = core.outsideTransaction('listWorkflows');
  checkOptions('listWorkflows()', filter, FILTER);
  const { limit = 100 } = filter;
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000) {
    throw new ValidationError(`limit must be a whole number from 1 to 10000, not ${String(limit)}.`);
  }
  checkTexts(filter);
  const rows = await reading.listWorkflows(database, {
    workflowIDs: filter.workflowIDs,
    idPrefix: filter.idPrefix,
    names: list(filter.name),
    statuses: list(filter.status),
    startTime: instant(filter.startTime, 'startTime'),
    endTime: instant(filter.endTime, 'endTime'),
    queueName: filter.queueName,
    executorID: filter.executorID,
    applicationVersion: filter.applicationVersion,
    parentWorkflowID: filter.parentWorkflowID,
    authenticatedUser: filter.authenticatedUser,
    attributes: encodeAttributes(filter.attributes),
    limit: limit + 1,
    after: filter.cursor === undefined ? undefined : readCursor(filter.cursor),
    descending: filter.sort === 'desc',
    load: filter.load ?? [],
  });
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const result: WorkflowList = { workflows: page.map((row) => toStatus(core.codec, row)) };
  if (rows.length > limit && last !== undefined) {
    result.cursor = Buffer.from(JSON.stringify([last.created_key, last.id])).toString('base64url');
  }
  return result;
}

/** Postgres refuses such texts; nothing can have one, so it is a mistake to look for them. */
function checkTexts(filter: WorkflowFilter): void {
  for (const [key, value] of Object.entries(filter)) {
    for (const text of [value].flat())
      if (typeof text === 'string' && /[\0\p{Surrogate}]/u.test(text))
        throw new ValidationError(`${key} must be well-formed text without NUL.`);
  }
}

/** Before anything was created; Postgres knows no instant before 4713 BC. */
const LONG_AGO = Date.UTC(-4000, 0);

function list<T>(value: T | T[] | undefined): T[] | undefined {
  return value === undefined ? undefined : Array.isArray(value) ? value : [value];
}

function instant(value: Date | string | number | undefined, what: string): number | undefined {
  if (value === undefined) return undefined;
  const time = new Date(value).getTime();
  if (Number.isNaN(time))
    throw new ValidationError(`${what} must be a date, an ISO text or milliseconds of the epoch.`);
  return Math.max(LONG_AGO, time);
}

function readCursor(cursor: string): { createdKey: string; id: string } {
  try {
    const [createdKey, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as [unknown, unknown];
    if (typeof createdKey === 'string' && typeof id === 'string' && !Number.isNaN(Date.parse(createdKey)))
      return { createdKey, id };
  } catch {
    // Said below.
  }
  throw new ValidationError('cursor must be the one that came with the page before.');
}

/** Steps in the order of their ids, those that still wait included. */
export async function listWorkflowSteps(core: PawlCore, workflowID: string): Promise<StepInfo[]> {
  const { database } = core.outsideTransaction('listWorkflowSteps');
  const rows = await reading.listSteps(database, checkWorkflowID(workflowID));
  return rows.map((row) => ({
    stepID: row.step_id,
    kind: row.kind,
    // A message is known by its topic, on both ends.
    name: row.name ?? (row.kind === 'recv' && row.target ? row.target : row.kind),
    // Who may see a workflow's steps may not therefore answer its hooks.
    output: row.kind === 'createHook' ? undefined : core.codec.decode(row.output),
    error: row.error === null ? null : core.codec.decodeError(row.error),
    childWorkflowID: row.child_id ?? (row.kind === 'getResult' ? row.target : null),
    attempts: row.attempts ?? 1,
    startedAt: row.started_at,
    completedAt: row.completed_at,
  }));
}

export async function cancelWorkflows(
  core: PawlCore,
  ids: readonly string[],
  options: { cancelChildren?: boolean } = {},
): Promise<void> {
  await core.recordedCall('cancelWorkflow', async () => {
    await cancelNow(core, ids, options);
  });
}

/** The ids of those that it ended; the others had ended before, or do not exist. */
export async function cancelNow(
  core: PawlCore,
  ids: readonly string[],
  options: { cancelChildren?: boolean } = {},
): Promise<string[]> {
  const { database, engine, executor, hints } = core.outsideTransaction('cancelWorkflow');
  for (const id of ids) checkWorkflowID(id);
  const ended = await again(() => cancel(database, ids, options.cancelChildren ?? false));
  for (const { workflowID, executor: owner, fence } of ended) {
    if (owner === engine.executor) executor.onCancelled(workflowID, fence);
    else if (owner !== null) hints.tellCancelled(owner, workflowID, fence);
  }
  if (ended.length > 0) executor.onAftermath({ fired: true, ready: false, hints: [] });
  return ended.map(({ workflowID }) => workflowID);
}

export async function resumeWorkflows(core: PawlCore, ids: readonly string[]): Promise<void> {
  await core.recordedCall('resumeWorkflow', async () => {
    await resumeNow(core, ids);
  });
}

/** The ids of those that go on because of it; the others run, wait or have ended, and are left alone. */
export async function resumeNow(core: PawlCore, ids: readonly string[]): Promise<string[]> {
  const { database, engine, hints, claimSoon } = core.outsideTransaction('resumeWorkflow');
  for (const id of ids) checkWorkflowID(id);
  const found = await again(() => resume(database, ids, core.registry.served()));
  for (const id of ids) if (!found.some((f) => f.workflowID === id)) throw new NonExistentWorkflowError(id);
  const changed = found.filter((f) => f.changed);
  for (const { workflowID, executor, fence } of changed) {
    const activation = engine.activations.get(workflowID);
    if (activation?.fence === fence) engine.gone(activation, 'superseded');
    if (executor !== null && executor !== engine.executor) hints.tellCancelled(executor, workflowID, fence);
  }
  if (changed.length > 0) claimSoon();
  return changed.map(({ workflowID }) => workflowID);
}

export interface ForkParams {
  /** Default: random. */
  newWorkflowID?: string;
  /** Default: the version of whoever claims it. */
  applicationVersion?: string;
}

/** The id of the new workflow. */
export async function forkWorkflow(
  core: PawlCore,
  workflowID: string,
  fromStep: number,
  params: ForkParams = {},
): Promise<string> {
  if (!Number.isInteger(fromStep) || fromStep < 0 || fromStep > 2 ** 31 - 1) {
    throw new ConfigurationError(
      `fromStep must be the id of a step, a whole number from 0, not ${String(fromStep)}.`,
    );
  }
  // Drawn once: by them a repeated fork recognizes itself.
  const [randomID, nonce] = [newID(), newID()];
  return core.recordedCall('forkWorkflow', async () => {
    const { database, claimSoon } = core.outsideTransaction('forkWorkflow');
    const id = params.newWorkflowID === undefined ? randomID : checkWorkflowID(params.newWorkflowID);
    const outcome = await fork(database, {
      workflowID: checkWorkflowID(workflowID),
      fromStep,
      newWorkflowID: id,
      nonce,
      version: params.applicationVersion ?? null,
    });
    if (outcome === null) throw new NonExistentWorkflowError(workflowID);
    if (outcome === 'exists') throw new WorkflowIDInUseError(id, 'exists');
    claimSoon();
    return id;
  });
}

export async function deleteWorkflow(core: PawlCore, workflowID: string): Promise<void> {
  await core.recordedCall('deleteWorkflow', async (repeated) => {
    const { database, engine, executor, hints } = core.outsideTransaction('deleteWorkflow');
    const gone = await again(() => forget(database, [checkWorkflowID(workflowID)]));
    if (gone.length === 0 && !repeated) throw new NonExistentWorkflowError(workflowID);
    for (const { executor: owner, fence } of gone) {
      const activation = engine.activations.get(workflowID);
      if (activation?.fence === fence) engine.gone(activation, 'deleted');
      if (owner !== null && owner !== engine.executor) hints.tell(owner, workflowID);
    }
    executor.onAftermath({ fired: true, ready: false, hints: [] });
  });
}

export interface EventInfo {
  key: string;
  value: unknown;
  /** Rises with each value that the workflow sets. */
  seq: number;
  createdAt: number;
}

/** Every value that the workflow's events had, in order; the last of a key is its value. */
export async function listEvents(core: PawlCore, workflowID: string): Promise<EventInfo[]> {
  const { database } = core.outsideTransaction('listEvents');
  const rows = await reading.listEvents(database, checkWorkflowID(workflowID));
  return rows.map((row) => ({
    key: row.key,
    value: core.codec.decode(row.value),
    seq: row.seq,
    createdAt: row.created_at,
  }));
}

export interface MessageInfo {
  id: string;
  /** null: without topic. */
  topic: string | null;
  message: unknown;
  /** The step that received it; null while it waits. */
  consumedBy: number | null;
  senderWorkflowID: string | null;
  createdAt: number;
}

export async function listMessages(core: PawlCore, workflowID: string): Promise<MessageInfo[]> {
  const { database } = core.outsideTransaction('listMessages');
  const rows = await reading.listMessages(database, checkWorkflowID(workflowID));
  return rows.map((row) => ({
    id: row.id,
    topic: row.topic === '' ? null : row.topic,
    message: core.codec.decode(row.body),
    consumedBy: row.consumed_by,
    senderWorkflowID: row.sender,
    createdAt: row.created_at,
  }));
}

export interface ExecutorInfo {
  number: number;
  executorID: string;
  applicationVersion: string | null;
  host: string | null;
  pid: number | null;
  startedAt: number;
  leaseUntil: number;
  /** When it stopped or was declared gone. */
  goneAt: number | null;
  /** Neither stopped nor declared gone, and its lease lasts. */
  alive: boolean;
  /** Workflows that it runs. */
  active: number;
}

export async function listExecutors(core: PawlCore): Promise<ExecutorInfo[]> {
  const rows = await reading.listExecutors(core.outsideTransaction('listExecutors').database);
  return rows.map((row) => ({
    number: Number(row.number),
    executorID: row.executor_id,
    applicationVersion: row.application_version,
    host: row.host,
    pid: row.pid,
    startedAt: row.started_at,
    leaseUntil: row.lease_until,
    goneAt: row.gone_at,
    alive: row.alive,
    active: row.active,
  }));
}
