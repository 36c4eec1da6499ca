// One run of one workflow in this process, from its claim to its end: takes step ids, matches calls with what was
// recorded, and is fenced in memory as the row is in the database.
//
//   running ──► ended      the body returned or threw; its end is written, nothing after it is
//      │  ├────► cancelled  every further durable call rejects; running steps may still be recorded
//      │  └────► dead       superseded, parked, blocked, handed over: calls neither run nor settle any more

import { NonDeterminismError, type WorkflowCancelledError } from '../errors/index.ts';
import type { JournalRow } from '../store/lifecycle.ts';
import type { StepKind } from '../store/operations.ts';
import type { RunInfo } from '../telemetry/events.ts';
import { Delivery } from './delivery.ts';
import type { EngineHost } from './host.ts';
import type { Registration } from './registry.ts';
import type { Wait } from './waits.ts';

export interface ActivationOptions {
  workflowID: string;
  registration: Registration;
  fence: number;
  nonce: string;
  deadline: number | null;
  auth: { user: string | null; roles: readonly string[] } | undefined;
  journal: readonly JournalRow[];
  /** When the workflow began, by the database's clock. Default: now. */
  startedAt?: number;
  /** The queue whose slot it holds. */
  queue?: string | null;
  /** It ran before. */
  rerun?: boolean;
}

const NO_ROWS: readonly JournalRow[] = [];

export class Activation implements RunInfo {
  readonly workflowID: string;
  readonly registration: Registration;
  readonly fence: number;
  readonly nonce: string;
  readonly deadline: number | null;
  readonly startedAt: number;
  readonly auth: ActivationOptions['auth'];
  readonly queue: string | null;
  readonly delivery: Delivery;
  // Most runs need none of these, and each would be a fifth of a kilobyte.
  #waits: Set<Wait> | undefined;
  #reads: Set<AbortController> | undefined;
  #patches: Map<string, Promise<boolean>> | undefined;
  #abortListeners: Set<(reason: unknown) => void> | undefined;
  state: 'running' | 'ended' | 'cancelled' | 'dead' = 'running';
  /** The step that was called last; -1 before the first. */
  lastStepID = -1;
  /** Step functions that run now. */
  running = 0;
  /** Steps that pause before their next attempt. */
  pausing = 0;
  /** Operations that are queued or in flight. */
  pending = 0;
  /** Resolves when the last marker of a patch is durable. */
  marking: Promise<void> | undefined;
  parkTimer: NodeJS.Timeout | undefined;
  stopDeadline: (() => void) | undefined;
  cancellation: WorkflowCancelledError | undefined;
  readonly #host: EngineHost;
  readonly #rows: Map<number, JournalRow> | undefined;
  #controller: AbortController | undefined;

  constructor(host: EngineHost, options: ActivationOptions) {
    this.#host = host;
    this.workflowID = options.workflowID;
    this.registration = options.registration;
    this.fence = options.fence;
    this.nonce = options.nonce;
    this.deadline = options.deadline;
    this.startedAt = options.startedAt ?? host.clock.now();
    this.auth = options.auth;
    this.queue = options.queue ?? null;
    this.#rows =
      options.journal.length === 0 ? undefined : new Map(options.journal.map((row) => [row.stepID, row]));
    this.delivery = new Delivery(
      host.turns,
      options.journal.length === 0 ? NO_ROWS : options.journal,
      (row) => this.refuseReplay(row.stepID, row, null),
      options.journal.length === 0 && options.rerun !== true,
    );
  }

  get workflowName(): string {
    return this.registration.name;
  }

  get waits(): Set<Wait> {
    return (this.#waits ??= new Set());
  }

  /** What reads streams for it. */
  get reads(): Set<AbortController> {
    return (this.#reads ??= new Set());
  }

  /** What `patch()` answered, by name. */
  get patches(): Map<string, Promise<boolean>> {
    return (this.#patches ??= new Map());
  }

  get live(): boolean {
    return this.delivery.live;
  }

  /** For a durable call: undefined if it may go on, else the promise to return in its place. */
  refusal(): Promise<never> | undefined {
    if (this.state === 'running' && !this.#host.draining) return undefined;
    if (this.state === 'cancelled') return Promise.reject(this.cancellation);
    return new Promise(() => {});
  }

  /** The body is over; nobody listens to these any more. */
  abandonWaits(): void {
    this.#stopTimers();
    this.#stopWaits(undefined);
  }

  /** Takes the next step id, at once: before the first await of the call. */
  takeStepID(): number {
    return ++this.lastStepID;
  }

  /**
   * The recorded row of a call, if there is one. 'refused': it is of another call; the activation is over.
   * `target` undefined: not compared.
   */
  recorded(
    stepID: number,
    kind: StepKind,
    name: string | null,
    target?: string | null,
  ): JournalRow | 'refused' | undefined {
    const row = this.#rows?.get(stepID);
    if (row === undefined) {
      this.delivery.calledLive();
      return undefined;
    }
    if (row.kind === kind && row.name === name && (target === undefined || row.target === target)) {
      if (!row.completed) this.delivery.calledLive();
      return row;
    }
    this.refuseReplay(stepID, row, { kind, name, target: target ?? null });
    return 'refused';
  }

  /**
   * The marker of this patch, if it is what the next call would find. false: the run has been past this point without
   * it. undefined: it has never been here.
   */
  marker(name: string): JournalRow | false | undefined {
    const next = this.lastStepID + 1;
    const row = this.#rows?.get(next);
    if (row?.kind === 'patch' && row.name === name) return row;
    for (const stepID of this.#rows?.keys() ?? []) if (stepID >= next) return false;
    return undefined;
  }

  refuseReplay(
    stepID: number,
    row: JournalRow,
    called: { kind: string; name: string | null; target: string | null } | null,
  ): void {
    const described = (call: { kind: string; name: string | null; target: string | null }) => ({
      kind: call.kind,
      name: call.name ?? call.kind,
      target: call.target,
    });
    this.#host.block(
      this,
      new NonDeterminismError({
        workflowID: this.workflowID,
        workflowName: this.registration.name,
        stepID,
        recorded: described(row),
        called: called === null ? null : described(called),
      }),
    );
  }

  /** The body's own signal: aborted when the workflow is cancelled or loses its owner. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      if (this.cancellation !== undefined) controller.abort(this.cancellation);
      else this.onAbort((reason) => controller.abort(reason));
    }
    return this.#controller.signal;
  }

  onAbort(listener: (reason: unknown) => void): () => void {
    if (this.cancellation !== undefined) listener(this.cancellation);
    else (this.#abortListeners ??= new Set()).add(listener);
    return () => this.#abortListeners?.delete(listener);
  }

  /** Durable calls reject from now on, waits at once. */
  cancel(reason: WorkflowCancelledError): void {
    if (this.state !== 'running') return;
    this.state = 'cancelled';
    this.cancellation = reason;
    this.#stopTimers();
    this.#stopWaits(reason);
    this.#abort(reason);
  }

  /** Nothing of this activation runs, writes or settles any more. */
  die(reason: unknown): void {
    if (this.state === 'dead') return;
    this.state = 'dead';
    this.delivery.close();
    this.abandonWaits();
    this.#abort(reason);
  }

  #abort(reason: unknown): void {
    const listeners = this.#abortListeners ?? [];
    this.#abortListeners = undefined;
    for (const listener of listeners) listener(reason);
  }

  #stopWaits(reason: unknown): void {
    const waits = this.#waits ?? [];
    this.#waits = undefined;
    for (const wait of waits) wait.abandon(reason);
    for (const read of this.#reads ?? []) read.abort(reason);
  }

  #stopTimers(): void {
    clearTimeout(this.parkTimer);
    this.stopDeadline?.();
  }
}
