// Messages and events: what a workflow tells others, and what callers tell workflows. A message's id is made by its
// sender, so that a repeated write of it is one message.

import { createHash } from 'node:crypto';
import { newID } from '../codec/index.ts';
import { NonExistentWorkflowError } from '../errors/index.ts';
import type { Queryable } from '../store/database.ts';
import { flushWithin } from '../store/flush.ts';
import type { MessagePart } from '../store/operations.ts';
import type { SendEvent } from '../telemetry/events.ts';
import type { Activation } from './activation.ts';
import type { EngineHost } from './host.ts';
import { record, type Recorded, replay, settle, stepPart } from './record.ts';
import { waitKeys } from './waits.ts';

export interface SendRequest {
  destination: string;
  /** '' for none. */
  topic: string;
  body: string | null;
  idempotencyKey: string | undefined;
  park: boolean;
}

/** One message per destination and key, however often it is sent. */
function keyedID(key: string): string {
  return `k${createHash('sha256').update(key).digest('base64url')}`;
}

/** Tells those who watch, and stores what they want to go with the message. */
function announce(
  host: EngineHost,
  run: Activation | undefined,
  { destination, topic }: SendRequest,
): SendEvent | undefined {
  if (!host.events.has('message.sending')) return undefined;
  const event: SendEvent = { run, destination, topic };
  host.events.emit('message.sending', event);
  return event;
}

function sent(host: EngineHost, event: SendEvent | undefined, error?: unknown): void {
  if (event !== undefined) host.events.emit('message.sent', Object.assign(event, { error }));
}

/** From outside: durable when it resolves. */
export function sendFromOutside(host: EngineHost, request: SendRequest): Promise<void> {
  const id = request.idempotencyKey === undefined ? newID() : keyedID(request.idempotencyKey);
  const message: MessagePart = {
    destination: request.destination,
    id,
    topic: request.topic,
    body: request.body,
    sender: null,
    park: request.park,
  };
  const event = announce(host, undefined, request);
  message.trace = event?.trace;
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void => {
      sent(host, event, error);
      reject(error);
    };
    host.journal.add({
      message,
      giveUp: failed,
      settle: (answer) => {
        if (answer?.outcome === 'missing') {
          failed(new NonExistentWorkflowError(request.destination));
          return;
        }
        sent(host, event);
        host.waits.poke(waitKeys.message(request.destination, request.topic));
        resolve();
      },
      fail: failed,
    });
  });
}

/** From a workflow: the message and the step are one write. */
export function sendFromWorkflow(
  host: EngineHost,
  activation: Activation,
  request: SendRequest,
): Promise<void> {
  const halt = activation.refusal();
  if (halt !== undefined) return halt;
  const stepID = activation.takeStepID();
  const name = request.topic === '' ? null : request.topic;
  const row = activation.recorded(stepID, 'send', name, request.destination);
  if (row === 'refused') return new Promise(() => {});
  return new Promise<void>((resolve, reject) => {
    const deliver = (recorded: Recorded) => settle(host, recorded, () => resolve(), reject);
    if (row?.completed) {
      replay(activation, row, deliver);
      return;
    }
    const step = stepPart({ kind: 'send', name, target: request.destination });
    const event = announce(host, activation, request);
    record(host, {
      activation,
      stepID,
      step,
      message: {
        destination: request.destination,
        id:
          request.idempotencyKey === undefined
            ? `${activation.nonce}:${stepID}`
            : keyedID(request.idempotencyKey),
        topic: request.topic,
        body: request.body,
        sender: activation.workflowID,
        park: request.park,
        trace: event?.trace,
      },
      keep: false,
      deliver,
      reject,
      written: () => {
        sent(host, event);
        host.waits.poke(waitKeys.message(request.destination, request.topic));
      },
      refused: (answer) => {
        if (answer.outcome !== 'missing') return false;
        const missing = new NonExistentWorkflowError(request.destination);
        sent(host, event, missing);
        const error = host.codec.encodeError(missing);
        record(host, { activation, stepID, keep: false, deliver, reject, step: { ...step, error } });
        return true;
      },
    });
  });
}

/** Sets an event of the running workflow; the last value wins, unless it may be set once. */
export function setEvent(
  host: EngineHost,
  activation: Activation,
  key: string,
  value: string | null,
  once: boolean,
): Promise<void> {
  const halt = activation.refusal();
  if (halt !== undefined) return halt;
  const stepID = activation.takeStepID();
  const row = activation.recorded(stepID, 'setEvent', key);
  if (row === 'refused') return new Promise(() => {});
  return new Promise<void>((resolve, reject) => {
    const deliver = (recorded: Recorded) => settle(host, recorded, () => resolve(), reject);
    if (row?.completed) {
      replay(activation, row, deliver);
      return;
    }
    const step = stepPart({ kind: 'setEvent', name: key });
    record(host, {
      activation,
      stepID,
      step,
      event: { key, value, once },
      keep: false,
      deliver,
      reject,
      written: () => host.eventSet(activation.workflowID, key, value),
      refused: (answer) => {
        if (answer.outcome !== 'set') return false;
        const error = new Error(
          `Event "${key}" of workflow "${activation.workflowID}" is set already, and was to be set once.`,
        );
        record(host, {
          activation,
          stepID,
          keep: false,
          deliver,
          reject,
          step: { ...step, error: host.codec.encodeError(error) },
        });
        return true;
      },
    });
  });
}

/** A value that is read once and recorded: the clock, a random id. */
export function recordValue<T>(
  host: EngineHost,
  activation: Activation,
  kind: 'now' | 'randomUUID',
  read: () => T,
): Promise<T> {
  const halt = activation.refusal();
  if (halt !== undefined) return halt;
  const stepID = activation.takeStepID();
  const row = activation.recorded(stepID, kind, null);
  if (row === 'refused') return new Promise(() => {});
  return new Promise<T>((resolve, reject) => {
    const deliver = (recorded: Recorded) => settle(host, recorded, resolve, reject);
    if (row?.completed) replay(activation, row, deliver);
    else
      record(host, {
        activation,
        stepID,
        keep: false,
        deliver,
        reject,
        step: stepPart({ kind, output: host.codec.encode(read()) }),
      });
  });
}

/** Inside the caller's own transaction: sent if and only if it commits. */
export async function sendWithin(
  host: EngineHost,
  tx: Pick<Queryable, 'query'>,
  request: SendRequest,
): Promise<void> {
  const id = request.idempotencyKey === undefined ? newID() : keyedID(request.idempotencyKey);
  const { destination, topic, body, park } = request;
  const event = announce(host, undefined, request);
  const message: MessagePart = { destination, id, topic, body, sender: null, park, trace: event?.trace };
  try {
    const { answers } = await flushWithin(tx, host.database.qualify, host.executor, [{ message }]);
    if (answers[0]?.outcome === 'missing') throw new NonExistentWorkflowError(destination);
    sent(host, event);
  } catch (error) {
    sent(host, event, error);
    throw error;
  }
}
