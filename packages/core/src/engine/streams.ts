// Streams: what a workflow appends under a key, each value in the commit of the step that wrote it; and batches of a
// stream as a workflow reads them, each recorded, so that a replay is given the same ones.

import { StreamClosedError } from '../errors/index.ts';
import type { Activation } from './activation.ts';
import type { EngineHost } from './host.ts';
import { record, type Recorded, replay, settle, stepPart } from './record.ts';

/** Appends a value, or with `closed` the end. */
export function writeStream(
  host: EngineHost,
  activation: Activation,
  entry: { key: string; value: string | null; closed: boolean },
): Promise<void> {
  const halt = activation.refusal();
  if (halt !== undefined) return halt;
  const { key } = entry;
  const kind = entry.closed ? 'closeStream' : 'writeStream';
  const stepID = activation.takeStepID();
  const row = activation.recorded(stepID, kind, key);
  if (row === 'refused') return new Promise(() => {});
  return new Promise<void>((resolve, reject) => {
    const deliver = (recorded: Recorded) => settle(host, recorded, () => resolve(), reject);
    if (row?.completed) {
      replay(activation, row, deliver);
      return;
    }
    const step = stepPart({ kind, name: key });
    record(host, {
      ...{ activation, stepID, step, entry, keep: false, deliver, reject },
      written: () => host.streamWritten(activation.workflowID, key),
      refused: (answer) => {
        if (answer.outcome !== 'closed') return false;
        const error = host.codec.encodeError(new StreamClosedError(key, activation.workflowID));
        record(host, { activation, stepID, keep: false, deliver, reject, step: { ...step, error } });
        return true;
      },
    });
  });
}

/** What a workflow was given of a stream at once. */
export interface StreamBatch {
  readonly values: readonly unknown[];
  /** The offset behind them. */
  readonly next: number;
  /** Nothing comes after them. */
  readonly done: boolean;
}

/** One batch: recorded, or what `read` finds. Keeps the workflow in memory for so long. */
export function readBatch(
  host: EngineHost,
  activation: Activation,
  source: { workflowID: string; key: string },
  read: (stop: AbortSignal) => Promise<StreamBatch>,
): Promise<StreamBatch> {
  const halt = activation.refusal();
  if (halt !== undefined) return halt;
  const { workflowID: target, key: name } = source;
  const kind = 'readStream';
  const stepID = activation.takeStepID();
  const row = activation.recorded(stepID, kind, name, target);
  if (row === 'refused') return new Promise(() => {});
  return new Promise<StreamBatch>((resolve, reject) => {
    const deliver = (recorded: Recorded) => settle(host, recorded, resolve, reject);
    if (row?.completed) {
      replay(activation, row, deliver);
      return;
    }
    const reading = new AbortController();
    activation.reads.add(reading);
    const through = (result: { output: string | null } | { error: string }): void => {
      activation.reads.delete(reading);
      if (activation.state === 'cancelled') reject(activation.cancellation);
      else if (activation.state === 'running') {
        const step = stepPart({ kind, name, target, ...result });
        record(host, { activation, stepID, step, keep: false, deliver, reject });
      }
    };
    read(reading.signal)
      .then((batch) => host.codec.encode(batch))
      .then(
        (output) => through({ output }),
        (error: unknown) => through({ error: host.codec.encodeError(error) }),
      );
  });
}
