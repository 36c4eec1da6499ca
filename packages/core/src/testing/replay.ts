// Runs a workflow's function on a recorded history, without a database and without running any step: recovery, as
// far as it can be seen from the code. Finds out before a deploy what would block workflows after it.

import type { PawlCore } from '../app/core.ts';
import { internals } from '../app/internals.ts';
import type { Runtime } from '../app/runtime.ts';
import type { Workflow } from '../app/workflows.ts';
import { Activation } from '../engine/activation.ts';
import { createEngine, type Engine } from '../engine/engine.ts';
import type { EngineHost } from '../engine/host.ts';
import { NO_SETTINGS, type Scope } from '../engine/scope.ts';
import { ConfigurationError, NonDeterminismError, type OperationIdentity } from '../errors/index.ts';
import type { Database, Lane } from '../store/database.ts';
import type { JournalRow } from '../store/lifecycle.ts';
import type { StepKind } from '../store/operations.ts';
import { createEmitter } from '../telemetry/events.ts';
import type { History } from './history.ts';

/** PENDING: everything recorded was replayed, and the code went on to what is not recorded yet. */
export type ReplayResult =
  | { readonly status: 'SUCCESS'; readonly output: unknown }
  | { readonly status: 'ERROR'; readonly error: unknown }
  | { readonly status: 'PENDING' };

/** A call beyond the record of an unfinished workflow ends its replay, once the calls beside it were made. */
const REST_MS = 20;
/** Nothing moves for so long: the code waits for what the record does not have. */
const STALL_MS = 1000;

/**
 * Replays `history` on the present code of `workflow`. Steps do not run, nothing is written; the Pawl that registered
 * the workflow need not be launched.
 *
 * @returns how the replay ended; it ends as recorded, but its output is the code's and is not compared
 * @throws NonDeterminismError if the code calls something else than what was recorded, or ends otherwise
 * @throws ConfigurationError for the history of another workflow
 * @example
 * const history = JSON.parse(await readFile('histories/order-17.json', 'utf8'));
 * await replay(history, checkout);
 */
export async function replay<A extends unknown[], R>(
  history: History,
  workflow: Workflow<A, R>,
): Promise<ReplayResult> {
  const { core } = internals(workflow);
  if (history.format !== 1) {
    throw new ConfigurationError(
      `This history has format ${String(history.format)}; this version of Pawl reads 1.`,
    );
  }
  if (history.name !== workflow.workflowName) {
    throw new ConfigurationError(
      `This is the history of workflow "${history.name}", not of "${workflow.workflowName}".`,
    );
  }
  const giveBack = lendRuntime(core);
  try {
    return await run(core, history);
  } finally {
    giveBack();
  }
}

function run(core: PawlCore, history: History): Promise<ReplayResult> {
  const { codec, storage } = core;
  const registration = core.registry.get(history.name);
  const over = history.status === 'SUCCESS' || history.status === 'ERROR';
  return new Promise<ReplayResult>((resolve, reject) => {
    const host: EngineHost = { ...createStandIn(core), block: (_, error) => end(() => reject(error)) };
    const activation = new Replay(host, {
      workflowID: history.workflowID,
      registration,
      fence: 0,
      nonce: '',
      deadline: null,
      auth: undefined,
      journal: history.steps,
    });
    activation.over = over;
    const end = (settle: () => void): void => {
      clearInterval(watch);
      if (activation.state === 'running') activation.die(new Error('The replay is over.'));
      settle();
    };
    const differs = (called: OperationIdentity | null, thrown?: unknown): void => {
      const recorded = { kind: 'end', name: history.status };
      const stepID = activation.beyond?.stepID ?? activation.lastStepID + 1;
      const { workflowID, name: workflowName } = history;
      const error = new NonDeterminismError({ workflowID, workflowName, stepID, recorded, called });
      if (thrown !== undefined) error.cause = thrown;
      end(() => reject(error));
    };
    const ended = (result: ReplayResult, thrown?: unknown): void => {
      if (activation.state !== 'running') return;
      const { uncalled } = activation.delivery;
      if (uncalled !== undefined) activation.refuseReplay(uncalled.stepID, uncalled, null);
      else if (over && result.status !== history.status)
        differs({ kind: 'end', name: result.status }, thrown);
      else end(() => resolve(result));
    };

    const scope: Scope = { activation, step: undefined, inTransaction: false, settings: NO_SETTINGS };
    let moves = 0;
    let since = performance.now();
    const watch = setInterval(() => {
      const { beyond, delivery } = activation;
      const now = performance.now();
      if (activation.calls !== moves) {
        moves = activation.calls;
        since = now;
      } else if (beyond !== undefined && !over && !delivery.replaying) {
        if (now - since >= REST_MS) end(() => resolve({ status: 'PENDING' }));
      } else if (now - since >= STALL_MS) {
        const { uncalled } = delivery;
        if (uncalled !== undefined) activation.refuseReplay(uncalled.stepID, uncalled, null);
        else if (over) differs(beyond ?? null);
        else end(() => resolve({ status: 'PENDING' }));
      }
    }, REST_MS / 2);
    Promise.resolve()
      .then(() => storage.run(scope, registration.fn, ...(codec.decode(history.input) as never[])))
      .then(
        (value) => ended({ status: 'SUCCESS', output: codec.roundTrip(value).value }),
        (error: unknown) =>
          ended({ status: 'ERROR', error: codec.decodeError(codec.encodeError(error)) }, error),
      )
      .catch(reject);
  });
}

/** An activation that never goes beyond what was recorded: such calls neither run their function nor settle. */
class Replay extends Activation {
  /** The run has ended: what its record does not have, it did without. */
  over = false;
  /** The first call that the record does not answer. */
  beyond: (OperationIdentity & { stepID: number }) | undefined;
  calls = 0;

  override marker(name: string): JournalRow | false | undefined {
    return super.marker(name) ?? (this.over ? false : undefined);
  }

  override recorded(
    stepID: number,
    kind: StepKind,
    name: string | null,
    target?: string | null,
  ): JournalRow | 'refused' {
    this.calls++;
    const row = super.recorded(stepID, kind, name, target);
    if (row !== undefined && (row === 'refused' || row.completed)) return row;
    this.beyond ??= { stepID, kind, name, target };
    return 'refused';
  }
}

const lent = new WeakMap<PawlCore, number>();

/** The verbs ask for a launched Pawl. One that is not launched gets an engine without a database for the while. */
function lendRuntime(core: PawlCore): () => void {
  const borrowers = lent.get(core) ?? 0;
  if (borrowers === 0 && core.state !== 'idle') return () => {};
  lent.set(core, borrowers + 1);
  if (borrowers === 0) {
    const engine = createStandIn(core);
    core.runtime = { engine, database: engine.database } as Runtime;
    core.state = 'ready';
  }
  return () => {
    const left = (lent.get(core) ?? 1) - 1;
    lent.set(core, left);
    if (left > 0) return;
    core.runtime = undefined;
    core.state = 'idle';
  };
}

function createStandIn(core: PawlCore): Engine {
  const refuse = (): never => {
    throw new ConfigurationError('A replay has no database.');
  };
  const lane: Lane = { call: refuse, close: refuse };
  const nothing = (): void => {};
  return createEngine({
    storage: core.storage,
    codec: core.codec,
    database: { embedded: true, schema: '', query: refuse, transaction: refuse } as unknown as Database,
    events: createEmitter(),
    registry: core.registry,
    stepDefaults: {},
    parkAfterMs: 0,
    journalLanes: [],
    controlLane: lane,
    onAftermath: nothing,
    onAvailability: nothing,
    onDoubt: () => {},
    onDeadline: nothing,
    onFinished: nothing,
    onGone: nothing,
    onEvent: nothing,
    onQueued: nothing,
    onSlotFreed: nothing,
    onStream: nothing,
  });
}
