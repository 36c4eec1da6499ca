// Starts: of a workflow by a caller, of a child by a workflow. One row decides who is first; the rest get what the
// policy says. A start is durable before anybody hears of it.

import { childWorkflowID, newID, sameInput } from '../codec/index.ts';
import {
  QueueDuplicatedError,
  UnknownQueueError,
  ValidationError,
  WorkflowConflictError,
  WorkflowIDInUseError,
} from '../errors/index.ts';
import type { Queryable } from '../store/database.ts';
import { flushWithin } from '../store/flush.ts';
import type { Answer, QueuedPart, StartPart } from '../store/operations.ts';
import type { StartEvent } from '../telemetry/events.ts';
import { Activation } from './activation.ts';
import type { EngineHost } from './host.ts';
import { record, type Recorded, replay, settle, stepPart } from './record.ts';
import type { DuplicatePolicy, Registration } from './registry.ts';
import { repeatWrite } from './repeat-write.ts';

export interface StartRequest {
  registration: Registration;
  workflowID: string | undefined;
  /** The encoded arguments, once the input schema has seen them. */
  input: string | null;
  duplicatePolicy: DuplicatePolicy;
  /** Milliseconds; null: none, not even an inherited one; undefined: inherited. */
  timeoutMs: number | null | undefined;
  /** Somebody else than this call begins it. */
  queued: QueuedPart | undefined;
  /** Kept with the workflow where there is no queue to look at it. */
  priority?: number | undefined;
  /** The only one that may run it; null: whoever claims it decides. */
  version: string | null;
  attributes: string | undefined;
  auth: { user: string | null; roles: readonly string[] } | undefined;
}

/** First fences are far apart, so that what still runs a deleted workflow cannot write into the next of that id. */
const FENCES = 2 ** 30;

export function startPart(
  request: StartRequest,
  workflowID: string,
  parent: Activation | undefined,
): StartPart {
  const { registration, queued } = request;
  const part: StartPart = {
    workflowID,
    nonce: newID(),
    fence: 1 + Math.floor(Math.random() * (FENCES - 1)),
    name: registration.name,
    version: queued !== undefined ? request.version : registration.version,
    input: request.input,
    chosen: request.workflowID !== undefined,
    extra: extraOf(request, parent),
  };
  if (queued !== undefined) part.queued = queued;
  return part;
}

/** What most starts do not have, as JSON; null: this one has nothing of it either. */
function extraOf(request: StartRequest, parent: Activation | undefined): string | null {
  const { timeoutMs, auth, queued, priority, attributes } = request;
  if (
    parent === undefined &&
    (timeoutMs ?? auth ?? attributes) === undefined &&
    (priority === undefined || queued !== undefined)
  )
    return null;
  const extra: Record<string, unknown> = {};
  if (timeoutMs !== undefined && timeoutMs !== null) extra.timeout = timeoutMs;
  else if (timeoutMs === undefined && parent !== undefined && parent.deadline !== null)
    extra.deadline = parent.deadline;
  if (parent !== undefined) extra.parent = parent.workflowID;
  if (auth !== undefined) {
    if (auth.user !== null) extra.user = auth.user;
    extra.roles = JSON.stringify(auth.roles);
  }
  if (priority !== undefined && queued === undefined) extra.priority = priority;
  if (attributes !== undefined) extra.attributes = JSON.parse(attributes) as unknown;
  return JSON.stringify(extra);
}

/** Tells those who watch, and stores what they want to go with the workflow. */
export function announce(
  host: EngineHost,
  start: StartPart,
  parent: Activation | undefined,
  here: boolean,
): StartEvent | undefined {
  if (!host.events.has('workflow.starting')) return undefined;
  const event: StartEvent = { workflowID: start.workflowID, workflowName: start.name, parent, here };
  host.events.emit('workflow.starting', event);
  start.trace = event.trace;
  return event;
}

export function announced(
  host: EngineHost,
  event: StartEvent | undefined,
  outcome: StartEvent['outcome'],
  error?: unknown,
): void {
  if (event !== undefined) host.events.emit('workflow.started', Object.assign(event, { outcome, error }));
}

/** Begins the body of what was just started here. */
function activate(
  host: EngineHost,
  request: StartRequest,
  start: StartPart,
  { parent, event }: { parent?: Activation; event: StartEvent | undefined },
): void {
  const { timeoutMs } = request;
  const deadline =
    timeoutMs !== undefined && timeoutMs !== null
      ? host.clock.now() + timeoutMs
      : timeoutMs === undefined && parent !== undefined
        ? parent.deadline
        : null;
  const activation = new Activation(host, {
    workflowID: start.workflowID,
    registration: request.registration,
    fence: start.fence,
    nonce: start.nonce,
    deadline,
    auth: request.auth,
    journal: [],
  });
  host.run(activation, request.input, { start: event, trace: event?.trace });
}

/** A start from outside. Resolves once it is durable, or with what the policy says of the one that was there. */
export function startFromOutside(host: EngineHost, request: StartRequest): Promise<string> {
  const start = startPart(request, request.workflowID ?? newID(), undefined);
  const here = start.queued === undefined;
  const event = announce(host, start, undefined, here);
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void => {
      announced(host, event, 'failed', error);
      reject(error);
    };
    host.journal.add({
      start,
      giveUp: failed,
      settle: (answer) => {
        try {
          if (answer !== undefined) judgeDuplicate(host, request, start, answer);
          announced(host, event, outcomeOf(answer));
          if (answer === undefined && here) activate(host, request, start, { event });
          if (start.queued !== undefined) host.queued(start.queued);
          resolve(start.workflowID);
        } catch (error) {
          failed(error);
        }
      },
      fail: failed,
    });
  });
}

/** A start inside the caller's own transaction: exists if that commits, and runs after it, on any process. */
export async function startWithin(
  host: EngineHost,
  tx: Queryable,
  request: StartRequest,
  parent: Activation | undefined,
): Promise<string> {
  const start = startPart(forAnybody(request), request.workflowID ?? newID(), parent);
  // Its caller is the code around it, be it a step.
  const event = announce(host, start, undefined, false);
  try {
    const options = { hint: hintOf(start.queued) };
    const { answers } = await flushWithin(tx, host.database.qualify, host.executor, [{ start }], options);
    if (answers[0] !== undefined) judgeDuplicate(host, request, start, answers[0]);
    announced(host, event, outcomeOf(answers[0]));
  } catch (error) {
    announced(host, event, 'failed', error);
    throw error;
  }
  return start.workflowID;
}

/** Whoever comes first. */
export const ANYBODY: QueuedPart = {
  queue: null,
  priority: null,
  partitionKey: null,
  deduplicationID: null,
  delayMs: null,
};

/** It is not begun here, be it in a queue or not. */
export function forAnybody(request: StartRequest): StartRequest {
  return { ...request, queued: request.queued ?? { ...ANYBODY, priority: request.priority ?? null } };
}

/** What peers are told of it once it is there; of what is delayed they know when it is due. */
function hintOf(queued: QueuedPart | undefined): 'r' | 'q' | undefined {
  if (queued === undefined || queued.delayMs !== null) return undefined;
  return queued.queue === null ? 'r' : 'q';
}

const CHUNK = 1000;

/** Many starts from outside in one transaction: all are durable, or none. Whoever serves them claims them. */
export async function startTogether(host: EngineHost, requests: readonly StartRequest[]): Promise<string[]> {
  const starts = requests.map((request) =>
    startPart(forAnybody(request), request.workflowID ?? newID(), undefined),
  );
  const events = starts.map((start) => announce(host, start, undefined, false));
  const write = (): Promise<void> =>
    host.database.transaction({}, async (tx) => {
      for (let from = 0; from < starts.length; from += CHUNK) {
        const chunk = starts.slice(from, from + CHUNK);
        const operations = chunk.map((start) => ({ start }));
        const { answers } = await flushWithin(tx, host.database.qualify, host.executor, operations);
        for (const [i, answer] of answers.entries()) {
          if (answer === undefined) continue;
          judgeDuplicate(host, requests[from + i] as StartRequest, chunk[i] as StartPart, answer);
        }
      }
    });
  try {
    // Each start recognizes itself when it comes again.
    if (starts.length > 0) await repeatWrite(write);
  } catch (error) {
    for (const event of events) announced(host, event, 'failed', error);
    throw error;
  }
  for (const event of events) announced(host, event, 'started');
  for (const start of starts) host.queued(start.queued as QueuedPart);
  return starts.map((start) => start.workflowID);
}

function outcomeOf(answer: Answer | undefined): StartEvent['outcome'] {
  return answer === undefined || answer.outcome === 'started' ? 'started' : 'existing';
}

/** `answer` says who has the id. Throws if the policy does not let the caller have that one. */
function judgeDuplicate(host: EngineHost, request: StartRequest, start: StartPart, answer: Answer): void {
  if (answer.outcome === 'started') return;
  const refusal = refusedByQueue(start, answer);
  if (refusal !== undefined) throw refusal;
  const existing = JSON.parse(answer.detail ?? '{}') as { name: string };
  if (existing.name !== request.registration.name) {
    throw new WorkflowConflictError(start.workflowID, existing.name, request.registration.name);
  }
  if (request.duplicatePolicy === 'reject') throw new WorkflowIDInUseError(start.workflowID, 'exists');
  if (
    request.duplicatePolicy === 'reject-if-different' &&
    !sameStoredInput(host, answer.output, request.input)
  ) {
    throw new WorkflowIDInUseError(start.workflowID, 'different-input');
  }
}

/** Why its queue did not take it. */
function refusedByQueue({ workflowID, queued }: StartPart, { outcome, output }: Answer): Error | undefined {
  const queue = queued?.queue ?? '';
  switch (outcome) {
    case 'unknown-queue':
      return new UnknownQueueError(queue, workflowID);
    case 'duplicate':
      return new QueueDuplicatedError(workflowID, queue, queued?.deduplicationID ?? '', output);
    case 'no-partition':
      return new ValidationError(
        `Queue "${queue}" is partitioned: give startWorkflow() a partitionKey. Workflow "${workflowID}" was not started.`,
      );
    case 'not-partitioned':
      return new ValidationError(
        `Queue "${queue}" is not partitioned, so startWorkflow() cannot take a partitionKey for it. Workflow "${workflowID}" was not started.`,
      );
    default:
      return undefined;
  }
}

function sameStoredInput(host: EngineHost, stored: string | null, given: string | null): boolean {
  if (stored === given) return true;
  return stored !== null && given !== null && sameInput(stored, given, host.codec.serializer);
}

/** A child: its start and the parent's step are one write. Its id is `{parent}-{step}` unless the caller names one. */
export function startChild(
  host: EngineHost,
  parent: Activation,
  request: StartRequest,
  encode: () => string | null | Promise<string | null>,
): Promise<string> {
  const halt = parent.refusal();
  if (halt !== undefined) return halt;
  const stepID = parent.takeStepID();
  const { name } = request.registration;
  const row = parent.recorded(stepID, 'start', name);
  if (row === 'refused') return new Promise(() => {});
  return new Promise<string>((resolve, reject) => {
    let childID = request.workflowID ?? childWorkflowID(parent.workflowID, stepID);
    const deliver = (recorded: Recorded) => settle(host, recorded, () => resolve(childID), reject);
    if (row?.completed) {
      childID = row.childID ?? childID;
      replay(parent, row, deliver);
      return;
    }
    const recordFailure = (error: unknown) => {
      record(host, {
        activation: parent,
        stepID,
        keep: false,
        deliver,
        reject,
        step: stepPart({ kind: 'start', name, error: host.codec.encodeError(error) }),
      });
    };
    const write = (input: string | null) => {
      request.input = input;
      const start = startPart(request, childID, parent);
      const event = announce(host, start, parent, start.queued === undefined);
      record(host, {
        activation: parent,
        stepID,
        step: stepPart({ kind: 'start', name, childID }),
        start,
        keep: false,
        deliver,
        reject,
        // One that was there before may have been claimed, or have ended, since; if nobody runs it, it is found.
        written: (answer) => {
          announced(host, event, 'started');
          if (start.queued !== undefined) host.queued(start.queued);
          else if (answer === undefined) activate(host, request, start, { parent, event });
        },
        refused: (answer) => {
          const refusal = refusedByQueue(start, answer);
          if (refusal !== undefined) {
            announced(host, event, 'failed', refusal);
            recordFailure(refusal);
            return true;
          }
          if (answer.outcome !== 'exists') return false;
          const existing = JSON.parse(answer.detail ?? '{}') as { name: string; parent: string | null };
          if (existing.name === name && existing.parent === parent.workflowID) {
            announced(host, event, 'existing');
            // Ours, from a run whose record was cut off by a resume: take it.
            record(host, {
              activation: parent,
              stepID,
              keep: false,
              deliver,
              reject,
              step: stepPart({ kind: 'start', name, childID }),
            });
          } else {
            const conflict = new WorkflowConflictError(childID, existing.name, name);
            announced(host, event, 'failed', conflict);
            recordFailure(conflict);
          }
          return true;
        },
      });
    };
    const input = encode();
    if (input instanceof Promise) input.then(write, recordFailure);
    else write(input);
  });
}
