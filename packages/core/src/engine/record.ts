// Writes what a durable call came to, and tells the caller once it is durable and its turn has come. Every kind of
// call ends here, so the outcomes of a fenced write are handled in one place.

import { SerializationError, WorkflowCancelledError } from '../errors/index.ts';
import type { JournalRow } from '../store/lifecycle.ts';
import type { Answer, Operation, StepPart } from '../store/operations.ts';
import type { Activation } from './activation.ts';
import type { Slot } from './delivery.ts';
import type { EngineHost } from './host.ts';

/** The recorded form of a result. */
export interface Recorded {
  output: string | null;
  error: string | null;
  outcome: string | null;
}

export interface RecordOptions {
  activation: Activation;
  stepID: number;
  step: StepPart;
  /** Parts that stand or fall with the step. */
  start?: Operation['start'];
  event?: Operation['event'];
  entry?: Operation['entry'];
  message?: Operation['message'];
  hook?: Operation['hook'];
  /** A function ran: its result is recorded even if the workflow was cancelled meanwhile. */
  keep: boolean;
  /** Earlier places in the order that the step may have been recorded under. */
  places?: readonly Slot[] | undefined;
  /** The result is durable. */
  deliver: (recorded: Recorded) => void;
  reject: (error: unknown) => void;
  /** Runs at once when the write is durable, before the delivery. With an answer: it was there before. */
  written?: (answer: Answer | undefined) => void;
  /** An outcome that only this kind of call has; true if it took care. */
  refused?: (answer: Answer) => boolean;
}

export function record(host: EngineHost, options: RecordOptions): void {
  const { activation, stepID, step } = options;
  const slot = activation.delivery.reserve();
  activation.pending++;
  /** The place that was recorded, if one was; the others are free. */
  const place = (seq: number | null): Slot => {
    if (options.places === undefined) return slot;
    const places = [...options.places, slot];
    const taken = places.find((each) => each.seq === seq) ?? slot;
    for (const each of places) if (each !== taken) activation.delivery.drop(each);
    return taken;
  };
  const operation: Operation & {
    undivided?: boolean;
    settle: (answer: Answer | undefined) => void;
    fail: (error: unknown) => void;
  } = {
    fenced: {
      workflowID: activation.workflowID,
      fence: activation.fence,
      stepID,
      seq: slot.seq,
      keep: options.keep,
    },
    step,
    settle: (answer) => {
      activation.pending--;
      if (answer === undefined || answer.outcome === 'written' || answer.outcome === 'started') {
        options.written?.(answer);
        activation.delivery.resolve(place(slot.seq), () => options.deliver(step));
      } else if (answer.outcome === 'adopted') {
        const adopted = { output: answer.output, error: answer.error, outcome: answer.detail };
        activation.delivery.resolve(place(answer.at), () => options.deliver(adopted));
      } else {
        // First this, then its place: later results are not to be told before the cancellation.
        if (!options.refused?.(answer)) refused(host, activation, answer, options.reject);
        activation.delivery.drop(place(null));
      }
    },
    fail: (error) => {
      activation.pending--;
      activation.delivery.drop(slot);
      if (step.error !== null && step.output === null) {
        host.events.emit('remark', {
          level: 'error',
          text: 'The database refuses to record a step',
          workflowID: activation.workflowID,
          error,
        });
        host.block(activation, error as Error);
        return;
      }
      // The value cannot be stored: that is the result of the step, recorded like any other.
      const problem = new SerializationError('$', `the database refused it: ${(error as Error).message}`, {
        subject: `result of step "${step.name ?? step.kind}"`,
        workflowID: activation.workflowID,
        cause: error,
      });
      record(host, {
        ...{ activation, stepID, keep: options.keep, places: options.places },
        deliver: options.deliver,
        reject: options.reject,
        step: { ...step, output: null, error: host.codec.encodeError(problem) },
      });
    },
  };
  if (activation.queue !== null) operation.undivided = true;
  if (options.start !== undefined) operation.start = options.start;
  if (options.event !== undefined) operation.event = options.event;
  if (options.entry !== undefined) operation.entry = options.entry;
  if (options.message !== undefined) operation.message = options.message;
  if (options.hook !== undefined) operation.hook = options.hook;
  host.journal.add(operation);
}

/** What every fenced call does with an answer that is no result. */
export function refused(
  host: EngineHost,
  activation: Activation,
  answer: Answer,
  reject: (error: unknown) => void,
): void {
  switch (answer.outcome) {
    case 'kept':
    case 'cancelled': {
      const reason = activation.cancellation ?? new WorkflowCancelledError(activation.workflowID);
      if (activation.state === 'running') host.cancelled(activation);
      reject(activation.cancellation ?? reason);
      break;
    }
    case 'deleted':
      host.gone(activation, 'deleted');
      break;
    default:
      host.gone(activation, 'superseded');
  }
}

/** Tells the caller a recorded result. What cannot be read back rejects; nothing is thrown at the event loop. */
export function settle<R>(
  host: EngineHost,
  recorded: Recorded,
  resolve: (value: R) => void,
  reject: (error: unknown) => void,
): void {
  try {
    if (recorded.error === null) resolve(host.codec.decode(recorded.output) as R);
    else reject(host.codec.decodeError(recorded.error));
  } catch (error) {
    reject(error);
  }
}

/** Hands a recorded result to the caller when its turn comes. */
export function replay(activation: Activation, row: JournalRow, deliver: (recorded: Recorded) => void): void {
  activation.delivery.arrive(row.stepID, () => deliver(row));
}

/** The part of a step row that most kinds leave empty. */
export function stepPart(part: Partial<StepPart> & Pick<StepPart, 'kind'>): StepPart {
  return {
    kind: part.kind,
    name: part.name ?? null,
    target: part.target ?? null,
    output: part.output ?? null,
    error: part.error ?? null,
    childID: part.childID ?? null,
    outcome: part.outcome ?? null,
    attempts: part.attempts ?? null,
    begun: part.begun ?? false,
    durationMs: part.durationMs ?? null,
  };
}
