// HOW a workflow runs: begins bodies, writes their ends, and keeps the activations of this process. When and which
// is the worker's business.

import type { Codec } from '../codec/index.ts';
import { SerializationError, WorkflowCancelledError, WorkflowTimeoutError } from '../errors/index.ts';
import type { Database, Lane } from '../store/database.ts';
import { block, rouse } from '../store/lifecycle.ts';
import type { ClaimedWorkflow } from '../store/lifecycle.ts';
import type { Aftermath, AnswerPart, EndPart, QueuedPart } from '../store/operations.ts';
import type { Emitter, EngineEvents } from '../telemetry/events.ts';
import { Activation } from './activation.ts';
import { DatabaseClock } from './clock.ts';
import { Turns } from './delivery.ts';
import type { EndingRequest, EngineHost, RunOrigin } from './host.ts';
import { createJournal, type JournalOperation } from './journal.ts';
import { Lease } from './lease.ts';
import type { Outcome } from './outcome.ts';
import type { Registry } from './registry.ts';
import { NO_SETTINGS, type Scope } from './scope.ts';
import type { ScopeStorage } from './scope-storage.ts';
import { Slots } from './slots.ts';
import type { StepRetryOptions } from './steps.ts';
import { WaitIndex, waitKeys } from './waits.ts';

export interface EngineOptions {
  storage: ScopeStorage;
  codec: Codec;
  database: Database;
  events: Emitter;
  registry: Registry;
  stepDefaults: StepRetryOptions;
  parkAfterMs: number;
  journalLanes: readonly Lane[];
  controlLane: Lane;
  onAftermath: (aftermath: Aftermath) => void;
  onAvailability: (available: boolean, error?: unknown) => void;
  /** A call that gives a workflow away failed, and may have taken effect. */
  onDoubt: () => void;
  /** A workflow's deadline may have passed: the database should look. */
  onDeadline: () => void;
  /** An end that is durable. */
  onFinished: (workflowID: string, outcome: Outcome) => void;
  /** It left this process without an end. */
  onGone: (workflowID: string) => void;
  onEvent: (workflowID: string, key: string, value: string | null) => void;
  /** A start that somebody is to claim is durable. */
  onQueued: (part: QueuedPart) => void;
  /** Something from a queue left this process. */
  onSlotFreed: () => void;
  onStream: (workflowID: string, key: string) => void;
}

export interface Engine extends EngineHost {
  /** Runs what was claimed, from its journal. Returns a trace to be kept for its next run. */
  recover(claimed: ClaimedWorkflow): string | undefined;
  /** Waits until no step function runs, at most so long. */
  quiesce(graceMs: number): Promise<void>;
}

export function createEngine(options: EngineOptions): Engine {
  const { codec, events, storage } = options;
  const activations = new Map<string, Activation>();
  const waits = new WaitIndex();
  const slots = new Slots();

  const engine: Engine = {
    storage,
    codec,
    database: options.database,
    events,
    registry: options.registry,
    stepDefaults: options.stepDefaults,
    parkAfterMs: options.parkAfterMs,
    clock: new DatabaseClock(),
    lease: new Lease(options.onDeadline),
    turns: new Turns(),
    waits,
    activations,
    slots,
    endingRequests: new Map(),
    executor: 0,
    draining: false,
    journal: createJournal({
      lanes: options.journalLanes,
      serial: options.database.embedded,
      roundTripMs: () => engine.clock.roundTripMs,
      executor: () => engine.executor,
      events,
      onAftermath: options.onAftermath,
      onAvailability: options.onAvailability,
    }),
    run: (activation, input, origin = {}) => {
      const { workflowID, registration } = activation;
      const other = activations.get(workflowID);
      if (other !== undefined && other.nonce === activation.nonce && other.fence > activation.fence)
        return undefined;
      other?.die(new Error('A later activation of this workflow took its place.'));
      if (other !== undefined) remove(other);
      activations.set(workflowID, activation);
      if (activation.queue !== null) slots.take(activation.queue);
      const activated = events.has('workflow.activated') ? announce(activation, origin) : undefined;
      armDeadline(activation);
      const scope: Scope = {
        activation,
        step: undefined,
        inTransaction: false,
        settings: NO_SETTINGS,
      };
      let body: Promise<unknown>;
      try {
        const args = codec.decode(input) as never[];
        const begin = () => storage.run(scope, () => registration.fn(...args));
        body = Promise.resolve(activated?.within === undefined ? begin() : activated.within(begin));
      } catch (error) {
        body = Promise.reject(error);
      }
      body.then(
        (value) =>
          ended(activation, () => ({
            status: 'SUCCESS',
            output: codec.encode(value),
            error: null,
          })),
        (error: unknown) =>
          ended(activation, () => ({
            status: 'ERROR',
            output: null,
            error: codec.encodeError(error),
          })),
      );
      return activated?.trace === origin.trace ? undefined : activated?.trace;
    },
    recover: (claimed) => {
      const { workflowID, fence, nonce, deadline, startedAt, rerun, attempts, queue } = claimed;
      const auth =
        claimed.roles === null
          ? undefined
          : {
              user: claimed.user,
              roles: JSON.parse(claimed.roles) as string[],
            };
      const registration = options.registry.get(claimed.name);
      return engine.run(
        new Activation(engine, {
          workflowID,
          registration,
          fence,
          nonce,
          deadline,
          auth,
          startedAt,
          rerun,
          queue,
          journal: claimed.journal,
        }),
        claimed.input,
        { rerun, deaths: attempts, trace: claimed.trace ?? undefined },
      );
    },
    finished: (activation, outcome) => {
      const { workflowID, registration } = activation;
      remove(activation);
      const error = outcome.error === null ? undefined : codec.decodeError(outcome.error);
      if (events.has('workflow.ended')) {
        events.emit('workflow.ended', {
          run: activation,
          workflowID,
          workflowName: registration.name,
          status: outcome.status,
          durationMs: engine.clock.now() - activation.startedAt,
          error,
        });
      }
      waits.pokeResult(workflowID, outcome);
      options.onFinished(workflowID, outcome);
    },
    gone: (activation, why) => {
      const { workflowID, registration } = activation;
      if (activation.state === 'dead') return;
      activation.die(new Error(`Workflow "${workflowID}" is not run by this process any more (${why}).`));
      remove(activation);
      if (why !== 'parked') {
        if (events.has('workflow.left')) events.emit('workflow.left', { run: activation, why });
      } else if (events.has('workflow.parked'))
        events.emit('workflow.parked', {
          run: activation,
          workflowID,
          workflowName: registration.name,
        });
      waits.unlocal(workflowID);
      options.onGone(workflowID);
    },
    cancelled: (activation) => {
      if (activation.state !== 'running' && activation.state !== 'ended') return;
      const { workflowID, registration, deadline } = activation;
      const late = deadline !== null && deadline <= engine.clock.now();
      const error = late ? new WorkflowTimeoutError(workflowID) : new WorkflowCancelledError(workflowID);
      activation.cancel(error);
      if (events.has('workflow.ended'))
        events.emit('workflow.ended', {
          run: activation,
          workflowID,
          workflowName: registration.name,
          status: 'CANCELLED',
          durationMs: engine.clock.now() - activation.startedAt,
          error,
        });
      waits.unlocal(workflowID);
      options.onGone(workflowID);
    },
    block: (activation, reason) => {
      const { workflowID, fence, registration } = activation;
      if (activation.state === 'dead') return;
      activation.die(reason);
      remove(activation);
      if (events.has('workflow.blocked'))
        events.emit('workflow.blocked', {
          run: activation,
          workflowID,
          workflowName: registration.name,
          reason: reason.message,
          error: reason,
        });
      waits.unlocal(workflowID);
      options.onGone(workflowID);
      block(options.controlLane, workflowID, fence, `${reason.name}: ${reason.message}`).catch(
        (error: unknown) => {
          const text = 'Could not write why the workflow is blocked; it is handed back and tried again';
          events.emit('remark', { level: 'error', text, workflowID, error });
          options.onDoubt();
        },
      );
    },
    rouse: (workflowID) => {
      rouse(options.controlLane, workflowID).catch((error: unknown) =>
        events.emit('remark', {
          level: 'warn',
          text: 'Could not rouse a workflow; it goes on when its wait ends',
          workflowID,
          error,
        }),
      );
    },
    queued: (part) => options.onQueued(part),
    eventSet: (workflowID, key, value) => {
      waits.poke(waitKeys.event(workflowID, key));
      options.onEvent(workflowID, key, value);
    },
    streamWritten: options.onStream,
    quiesce: async (graceMs) => {
      const end = performance.now() + graceMs;
      const busy = () => [...activations.values()].some((activation) => activation.running > 0);
      while (busy() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
    },
  };

  function announce(activation: Activation, origin: RunOrigin): EngineEvents['workflow.activated'] {
    const { workflowID, workflowName } = activation;
    const { start, rerun = false, deaths = 0, trace } = origin;
    const recordedSteps = activation.delivery.recorded;
    const event: EngineEvents['workflow.activated'] = {
      ...{ run: activation, workflowID, workflowName, start, rerun, deaths, recordedSteps, trace },
    };
    events.emit('workflow.activated', event);
    return event;
  }

  function armDeadline(activation: Activation): void {
    if (activation.deadline !== null)
      activation.stopDeadline = engine.clock.alarm(activation.deadline, options.onDeadline);
  }

  /** The body is through. Its end is written after everything else that it wrote. */
  function ended(activation: Activation, read: () => EndPart): void {
    if (activation.state === 'cancelled') {
      remove(activation);
      return;
    }
    if (activation.state !== 'running' || engine.draining) return;
    const uncalled = activation.delivery.uncalled;
    if (uncalled !== undefined) {
      activation.refuseReplay(uncalled.stepID, uncalled, null);
      return;
    }
    let end: EndPart;
    try {
      end = read();
    } catch (error) {
      end = { status: 'ERROR', output: null, error: codec.encodeError(error) };
    }
    activation.state = 'ended';
    activation.abandonWaits();
    const request = engine.endingRequests.get(activation.workflowID);
    // What a later run ends with has another answer.
    if (request !== undefined) engine.endingRequests.delete(activation.workflowID);
    if (request === undefined) writeEnd(activation, end, true);
    else
      void request
        .answer(end)
        .then((answer) => writeEnd(activation, end, true, answer && { request, answer }));
  }

  function writeEnd(
    activation: Activation,
    end: EndPart,
    again: boolean,
    asked?: { request: EndingRequest; answer: AnswerPart },
  ): void {
    const { workflowID, fence } = activation;
    const operation: JournalOperation = {
      fenced: { workflowID, fence, stepID: null, seq: null, keep: false },
      end,
      answer: asked?.answer,
      undivided: activation.queue !== null,
      settle: (answer) => {
        const outcome = answer?.outcome ?? 'written';
        if (outcome === 'written' || outcome === 'unrecorded') {
          asked?.request.durable(answer === undefined && operation.answer !== undefined);
          engine.finished(activation, end);
        } else if (outcome === 'cancelled') {
          engine.cancelled(activation);
          remove(activation);
        } else engine.gone(activation, outcome === 'deleted' ? 'deleted' : 'superseded');
      },
      fail: (error) => {
        if (asked !== undefined) return writeEnd(activation, end, again);
        const problem = new SerializationError('$', `the database refused it: ${(error as Error).message}`, {
          subject: 'result',
          workflowID,
          cause: error,
        });
        if (again)
          writeEnd(activation, { status: 'ERROR', output: null, error: codec.encodeError(problem) }, false);
        else engine.block(activation, error as Error);
      },
    };
    engine.journal.add(operation);
  }

  function remove(activation: Activation): void {
    activation.stopDeadline?.();
    if (activations.get(activation.workflowID) !== activation) return;
    activations.delete(activation.workflowID);
    if (activation.queue === null) return;
    slots.free(activation.queue);
    options.onSlotFreed();
  }

  return engine;
}
