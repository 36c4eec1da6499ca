// Transactions: the user's SQL and its checkpoint in one database transaction, so that both exist or neither does.
//
//   BEGIN ─► user's statements ─► lock, fence, checkpoint (one call) ─► COMMIT ─► delivered
//     ▲            │ 40001, 40P01, connection lost          │ key taken, fence old        │ answer lost
//     └────────────┴──────────────────────────── ROLLBACK, adopt or end ◄┘   └─► run again: the checkpoint's
//                                                                                key lets only one commit

import { DatabaseUnavailableError, MaxStepRetriesError } from '../errors/index.ts';
import type { IsolationLevel, Queryable } from '../store/database.ts';
import { CommitUnknownError } from '../store/database.ts';
import { classifyTransactionFault } from '../store/faults.ts';
import { flushWithin } from '../store/flush.ts';
import type { Answer } from '../store/operations.ts';
import type { EngineEvents } from '../telemetry/events.ts';
import type { Activation } from './activation.ts';
import type { Slot } from './delivery.ts';
import type { EngineHost } from './host.ts';
import { record, type Recorded, refused, replay, settle, stepPart } from './record.ts';
import type { Scope } from './scope.ts';
import { StepContext } from './step-context.ts';
import { stepName } from './steps.ts';

export interface TransactionStepOptions {
  /** Default: the function's name, else 'step'. Compared on replay. */
  name?: string;
  /** Default READ COMMITTED. Serialization failures are retried. */
  isolationLevel?: IsolationLevel;
  /** Its result is recorded after it, with the journal. */
  readOnly?: boolean;
}

/** What a transaction's body gets: queries on the one connection of the transaction. */
export interface SqlClient {
  query<Row = Record<string, unknown>>(
    text: string,
    params?: readonly unknown[],
  ): Promise<{ rows: Row[]; rowCount: number }>;
}

const MAX_PAUSE_MS = 2000;
/** Conflicts that go on for so many attempts in a row are the application's to solve. */
const MAX_CONFLICTS = 50;

/** The answer of a checkpoint that refused; carries it out of the transaction, which rolls back. */
class Refusal extends Error {
  readonly answer: Answer;
  constructor(answer: Answer) {
    super(answer.outcome);
    this.answer = answer;
  }
}

/** What replay compares, beside the name. */
interface Identity {
  kind: 'transaction' | 'debounce';
  target: string | null;
}

const TRANSACTION: Identity = { kind: 'transaction', target: null };

export function runTransaction<R>(
  host: EngineHost,
  activation: Activation,
  fn: (tx: SqlClient) => Promise<R>,
  options: TransactionStepOptions,
  { kind, target }: Identity = TRANSACTION,
): Promise<R> {
  const halt = activation.refusal();
  if (halt !== undefined) return halt;
  let name: string;
  try {
    name = stepName(fn, options);
  } catch (error) {
    return Promise.reject(error);
  }
  const stepID = activation.takeStepID();
  const row = activation.recorded(stepID, kind, name, target);
  if (row === 'refused') return new Promise(() => {});
  return new Promise<R>((resolve, reject) => {
    const deliver = (recorded: Recorded) => settle(host, recorded, resolve, reject);
    if (row?.completed) replay(activation, row, deliver);
    else
      execute(host, activation, fn, { ...options, kind, target, name, stepID, deliver, reject }).catch(
        reject,
      );
  });
}

interface Call extends TransactionStepOptions, Identity {
  name: string;
  stepID: number;
  deliver: (recorded: Recorded) => void;
  reject: (error: unknown) => void;
}

async function execute<R>(
  host: EngineHost,
  activation: Activation,
  fn: (tx: SqlClient) => Promise<R>,
  call: Call,
): Promise<void> {
  const { stepID, kind, name } = call;
  if (activation.marking !== undefined) {
    await activation.marking;
    const halt = activation.refusal();
    if (halt !== undefined) return halt;
  }
  let attempt = 0;
  const event = (): EngineEvents['step.started'] => ({
    run: activation,
    workflowID: activation.workflowID,
    workflowName: activation.workflowName,
    stepID,
    kind,
    name,
    attempt,
  });
  const settled = (error?: unknown): void => {
    if (host.events.has('step.settled'))
      host.events.emit('step.settled', { ...event(), error, durationMs: performance.now() - startedAt });
  };
  activation.running++;
  const startedAt = performance.now();
  /** Places in the order that a COMMIT without an answer may have recorded: what comes after them waits until it is known. */
  const unknown: Slot[] = [];
  try {
    for (let conflicts = 0; ;) {
      attempt++;
      if (activation.state !== 'running' && activation.state !== 'cancelled') return;
      let slot: Slot | undefined;
      let output: string | null = null;
      let kept: Answer | undefined;
      try {
        const started = event();
        if (host.events.has('step.started')) host.events.emit('step.started', started);
        await host.database.transaction(call, async (tx) => {
          const run = () => body(host, activation, fn, tx, call);
          const value = await (started.within === undefined ? run() : started.within(run));
          output = host.codec.encode(value);
          if (host.events.has('step.ended')) host.events.emit('step.ended', event());
          if (call.readOnly) return;
          slot = activation.delivery.reserve();
          kept = await checkpoint(host, activation, tx, {
            ...call,
            seq: slot.seq,
            output,
            durationMs: performance.now() - startedAt,
          });
          if (host.events.has('transaction.committing')) host.events.emit('transaction.committing', event());
        });
        settled();
        if (call.readOnly) {
          recordResult(host, activation, call, { output, error: null }, startedAt);
          return;
        }
        if (host.events.has('transaction.committed')) host.events.emit('transaction.committed', event());
        if (kept !== undefined) {
          // Committed and recorded, for a resume; but the workflow is cancelled.
          refused(host, activation, kept, call.reject);
          activation.delivery.drop(slot as unknown as Slot);
          return;
        }
        activation.delivery.resolve(slot as unknown as Slot, () =>
          call.deliver({ output, error: null, outcome: null }),
        );
        return;
      } catch (error) {
        if (slot !== undefined && !(error instanceof CommitUnknownError)) activation.delivery.drop(slot);
        if (error instanceof Refusal) {
          settled();
          const { at } = error.answer;
          const place = unknown.findIndex(({ seq }) => seq === at);
          refuse(host, activation, error.answer, call, unknown.splice(place, place < 0 ? 0 : 1)[0]);
          return;
        }
        // Interrupted and rolled back: no result. A resume runs it again.
        if (activation.cancellation !== undefined && error === activation.cancellation) {
          settled(error);
          call.reject(error);
          return;
        }
        if (slot !== undefined && error instanceof CommitUnknownError) unknown.push(slot);
        const fault = classifyTransactionFault(error);
        if (fault === 'refused') {
          settled(error);
          recordResult(
            host,
            activation,
            call,
            { output: null, error: host.codec.encodeError(error) },
            startedAt,
            unknown.splice(0),
          );
          return;
        }
        if (fault === 'conflict' && ++conflicts >= MAX_CONFLICTS) {
          const given = new MaxStepRetriesError(name, [error], activation.workflowID);
          settled(given);
          recordResult(
            host,
            activation,
            call,
            { output: null, error: host.codec.encodeError(given) },
            startedAt,
            unknown.splice(0),
          );
          return;
        }
        const pause = Math.min(MAX_PAUSE_MS, 5 * 2 ** Math.min(attempt - 1, 9)) * (0.5 + Math.random());
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  } finally {
    activation.running--;
    for (const slot of unknown) activation.delivery.drop(slot);
  }
}

function body<R>(
  host: EngineHost,
  activation: Activation,
  fn: (tx: SqlClient) => Promise<R>,
  tx: Queryable,
  call: Call,
): Promise<R> {
  const context = new StepContext(activation, call.stepID, 1, 1);
  const scope: Scope = { activation, step: context, inTransaction: true, settings: {} };
  return Promise.resolve(host.storage.run(scope, fn, tx)).finally(() => context.close());
}

async function checkpoint(
  host: EngineHost,
  activation: Activation,
  tx: Queryable,
  {
    stepID,
    kind,
    name,
    target,
    seq,
    output,
    durationMs,
  }: Call & { seq: number; output: string | null; durationMs: number },
): Promise<Answer | undefined> {
  const { workflowID, fence } = activation;
  const operation = {
    fenced: { workflowID, fence, stepID, seq, keep: true },
    step: stepPart({ kind, name, target, output, attempts: 1, durationMs }),
  };
  const { answers } = await flushWithin(tx, host.database.qualify, host.executor, [operation], {
    last: !host.database.embedded,
  });
  const answer = answers[0];
  if (answer !== undefined && answer.outcome !== 'kept') throw new Refusal(answer);
  return answer;
}

/** The record that stands there is the one: 'written' too, by the run whose COMMIT was not answered. */
function refuse(
  host: EngineHost,
  activation: Activation,
  answer: Answer,
  call: Call,
  slot: Slot = activation.delivery.reserve(),
): void {
  if (answer.outcome === 'adopted' || answer.outcome === 'written') {
    activation.delivery.resolve(slot, () =>
      call.deliver({ output: answer.output, error: answer.error, outcome: null }),
    );
  } else refused(host, activation, answer, call.reject);
}

/** A result that no COMMIT carried: an error (the transaction rolled back), or that of a read-only one. */
function recordResult(
  host: EngineHost,
  activation: Activation,
  call: Call,
  result: { output: string | null; error: string | null },
  startedAt: number,
  places?: readonly Slot[],
): void {
  if (activation.state === 'dead' || activation.state === 'ended') return;
  record(host, {
    activation,
    stepID: call.stepID,
    step: stepPart({
      kind: call.kind,
      name: call.name,
      target: call.target,
      attempts: 1,
      durationMs: performance.now() - startedAt,
      ...result,
    }),
    keep: true,
    places,
    deliver: call.deliver,
    reject: call.reject,
  });
}

/** Outside a workflow: conflicts are retried, a COMMIT without an answer is reported, never run again. */
export async function runPlainTransaction<R>(
  host: EngineHost,
  fn: (tx: SqlClient) => Promise<R>,
  options: TransactionStepOptions,
): Promise<R> {
  const scope: Scope = { activation: undefined, step: undefined, inTransaction: true, settings: {} };
  for (let conflicts = 0; ;) {
    try {
      return await host.database.transaction(options, (tx) => host.storage.run(scope, fn, tx));
    } catch (error) {
      if (error instanceof CommitUnknownError) {
        throw new DatabaseUnavailableError(
          'The connection was lost while COMMIT was under way: whether the transaction is committed is unknown. ' +
            'Look before you repeat it, or run it in a workflow, where it commits exactly once.',
          { cause: error.cause },
        );
      }
      const fault = classifyTransactionFault(error);
      if (fault === 'connection') {
        throw new DatabaseUnavailableError(
          'The database does not answer; the transaction is not committed. Repeat the call.',
          { cause: error },
        );
      }
      if (fault !== 'conflict' || ++conflicts >= MAX_CONFLICTS) throw error;
      await new Promise((resolve) =>
        setTimeout(resolve, Math.min(MAX_PAUSE_MS, 5 * 2 ** Math.min(conflicts, 9)) * (0.5 + Math.random())),
      );
    }
  }
}
