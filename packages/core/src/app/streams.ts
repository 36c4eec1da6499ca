// The verbs of streams. Outside a workflow a reader follows the stream; inside, each batch that it is given is a step.

import { checkName, checkWorkflowID, shown } from '../codec/index.ts';
import { readBatch, type StreamBatch, writeStream as appendToStream } from '../engine/streams.ts';
import { InStepError, NonExistentWorkflowError, ValidationError } from '../errors/index.ts';
import type { PawlCore } from './core.ts';
import { follow } from './follow.ts';

export interface ReadStreamOptions {
  /** The first value to be given, counted from 0. Default 0. Who has been given n values goes on with their offset + n. */
  offset?: number;
}

/** Offsets are integers of the database. */
const MAX_OFFSET = 2 ** 31 - 1;

export async function writeStream(core: PawlCore, key: string, value: unknown): Promise<void> {
  const activation = core.inWorkflow('writeStream');
  checkName(key, 'stream key');
  const { engine } = core.running('writeStream');
  return appendToStream(engine, activation, { key, value: core.codec.encode(value), closed: false });
}

export async function closeStream(core: PawlCore, key: string): Promise<void> {
  const activation = core.inWorkflow('closeStream');
  checkName(key, 'stream key');
  const { engine } = core.running('closeStream');
  return appendToStream(engine, activation, { key, value: null, closed: true });
}

interface Source {
  readonly workflowID: string;
  readonly key: string;
}

/** `reach` connects, where that is not done yet. */
export function readStream<T>(
  core: PawlCore,
  workflowID: string,
  key: string,
  options: ReadStreamOptions = {},
  reach: () => Promise<unknown> = async () => {},
): AsyncIterable<T> {
  const source = { workflowID: checkWorkflowID(workflowID), key: checkName(key, 'stream key') };
  const { offset = 0 } = options;
  if (!Number.isInteger(offset) || offset < 0 || offset > MAX_OFFSET)
    throw new ValidationError(
      `The offset of readStream() is a whole number from 0 to ${MAX_OFFSET}; this one is ${shown(offset)}.`,
    );
  return {
    [Symbol.asyncIterator]: () =>
      core.scope().activation === undefined
        ? readOutside<T>(core, source, offset, reach)
        : readInside<T>(core, source, offset),
  };
}

function readOutside<T>(
  core: PawlCore,
  source: Source,
  offset: number,
  reach: () => Promise<unknown>,
): AsyncIterator<T> {
  const gone = new AbortController();
  const values = (async function* (): AsyncGenerator<T> {
    await reach();
    core.outsideTransaction('readStream');
    for await (const batch of follow(core, 'readStream', {
      feed: 'stream',
      ...source,
      after: offset - 1,
      closed: gone.signal,
    })) {
      for (const { value } of batch?.entries ?? []) yield core.codec.decode(value) as T;
      if (batch?.end === 'DELETED') throw new NonExistentWorkflowError(source.workflowID);
    }
  })();
  return {
    next: () => values.next(),
    // Also while it waits: a generator alone would first wait for the next value.
    return: () => {
      gone.abort();
      return values.return(undefined);
    },
  };
}

/** Deterministic: what was given once is given again, in the same batches. */
function readInside<T>(core: PawlCore, source: Source, offset: number): AsyncIterator<T> {
  let over = false;
  const values = (async function* (): AsyncGenerator<T> {
    for (let at = offset, known = false; ; known = true) {
      const { values: given, next, done } = await readBatchInside(core, source, at, known);
      for (const value of given) yield value as T;
      if (done) return;
      at = next;
    }
  })();
  const end = { done: true, value: undefined } as const;
  return {
    next: () => core.observed(over ? Promise.resolve(end) : values.next()),
    // A batch that is being waited for is a step, and comes to its end as such.
    return: () => {
      over = true;
      return Promise.resolve(end);
    },
  };
}

async function readBatchInside(
  core: PawlCore,
  source: Source,
  at: number,
  known: boolean,
): Promise<StreamBatch> {
  const { engine } = core.outsideTransaction('readStream');
  const { activation, step } = core.scope();
  if (activation === undefined || step !== undefined)
    throw new InStepError('readStream', 'step', activation?.workflowID);
  return readBatch(engine, activation, source, async (closed) => {
    for await (const batch of follow(core, 'readStream', {
      feed: 'stream',
      ...source,
      after: at - 1,
      known,
      closed,
    })) {
      if (batch === undefined) continue;
      if (batch.end === 'DELETED') throw new NonExistentWorkflowError(source.workflowID);
      const values = batch.entries.map(({ value }) => core.codec.decode(value));
      return { values, next: at + values.length, done: batch.end !== undefined };
    }
    throw closed.reason;
  });
}
