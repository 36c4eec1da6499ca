// Debounced starts: by a caller, and by a workflow. The run waits in the database, so calls of all processes meet there;
// who calls also sees to it that it begins in time.

import { newID } from '../codec/index.ts';
import { debounce, type DebounceCall } from '../store/debounce.ts';
import type { StartPart } from '../store/operations.ts';
import type { StartEvent } from '../telemetry/events.ts';
import type { Activation } from './activation.ts';
import type { EngineHost } from './host.ts';
import { repeatWrite } from './repeat-write.ts';
import { announce, announced, ANYBODY, startPart, type StartRequest } from './starts.ts';
import { runTransaction, type SqlClient } from './transactions.ts';

export interface DebounceRequest extends Pick<DebounceCall, 'key' | 'periodMs' | 'maxWaitMs'> {
  start: StartRequest;
}

/** What is to be written next for a key, and who waits for it. */
interface Batch {
  call: DebounceCall;
  callers: Caller[];
}

interface Caller {
  event: StartEvent | undefined;
  resolve: (workflowID: string) => void;
  reject: (error: unknown) => void;
}

/** Keys for which this process has a call under way, with what comes after it. */
const underWay = new WeakMap<EngineHost, Map<string, Batch | undefined>>();

/**
 * Resolves with the id of the run, once it is durable that it has this input. Calls of one key that come while one is
 * under way are one statement, with the last input: so they keep their order, and take one connection of the pool.
 */
export function debounceFromOutside(host: EngineHost, request: DebounceRequest): Promise<string> {
  const { start: startRequest, key, periodMs, maxWaitMs } = request;
  const start = startPart(startRequest, newID(), undefined);
  const event = announce(host, start, undefined, false);
  const call = { start, key, periodMs, maxWaitMs, caller: null, again: false };
  let keys = underWay.get(host);
  if (keys === undefined) underWay.set(host, (keys = new Map()));
  const line = JSON.stringify([start.name, key]);
  return new Promise((resolve, reject) => {
    const caller = { event, resolve, reject };
    const next = keys.get(line);
    if (next !== undefined) {
      next.call = call;
      next.callers.push(caller);
    } else if (keys.has(line)) keys.set(line, { call, callers: [caller] });
    else void writeAll(host, keys, line, { call, callers: [caller] });
  });
}

async function writeAll(
  host: EngineHost,
  keys: Map<string, Batch | undefined>,
  line: string,
  first: Batch,
): Promise<void> {
  for (let batch: Batch | undefined = first; batch !== undefined; batch = keys.get(line)) {
    keys.set(line, undefined);
    const { call, callers } = batch;
    try {
      const { workflowID, dueMs } = await repeatWrite((again) =>
        host.database.transaction({}, (tx) => debounce(tx, host.database.qualify, { ...call, again })),
      );
      tell(host, dueMs);
      for (const { event, resolve } of callers) {
        announced(host, event, event?.workflowID === workflowID ? 'started' : 'existing');
        resolve(workflowID);
      }
    } catch (error) {
      for (const { event, reject } of callers) {
        announced(host, event, 'failed', error);
        reject(error);
      }
    }
  }
  keys.delete(line);
}

function tell(host: EngineHost, dueMs: number): void {
  host.queued({ ...ANYBODY, delayMs: dueMs > 0 ? dueMs : null });
}

/**
 * The same as a step: the call and its record are one transaction. The run is nobody's child, since others may call for
 * it too. `input`: began to be encoded when the step was called; its error is the step's.
 */
export async function debounceFromWorkflow(
  host: EngineHost,
  activation: Activation,
  request: DebounceRequest,
  input: Promise<string | null>,
): Promise<string> {
  const { key, periodMs, maxWaitMs } = request;
  const { name } = request.start.registration;
  let start: StartPart | undefined;
  let event: StartEvent | undefined;
  let dueMs: number | undefined;
  const call = async (tx: SqlClient): Promise<string> => {
    if (start === undefined) {
      start = startPart({ ...request.start, input: await input }, newID(), undefined);
      event = announce(host, start, activation, false);
    }
    const written = await debounce(tx, host.database.qualify, {
      ...{ start, key, periodMs, maxWaitMs },
      caller: activation.workflowID,
      again: false,
    });
    ({ dueMs } = written);
    return written.workflowID;
  };
  try {
    const workflowID = await runTransaction(
      host,
      activation,
      call,
      { name },
      { kind: 'debounce', target: key },
    );
    if (dueMs !== undefined) tell(host, dueMs);
    announced(host, event, event?.workflowID === workflowID ? 'started' : 'existing');
    return workflowID;
  } catch (error) {
    announced(host, event, 'failed', error);
    throw error;
  }
}
