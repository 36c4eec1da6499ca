// The crash buttons: a Pawl that logs each step as it really runs, and kills its own process where it was told to.
// The switch is a variable on purpose: it dies with the process, so each crash happens once. Not for your own app.
import {
  type Duration,
  type EventKey,
  Pawl,
  type SqlClient,
  type StepContext,
  type StartParams,
  type StepOptions,
  type Topic,
  type TransactionStepOptions,
  type Workflow,
  type WorkflowHandle,
} from '@pawl/core';
import { type CrashPoint, type CrashMoment, crashPoints } from './crash-points.ts';
import { referenceOf } from './shop.ts';

export class CrashablePawl extends Pawl {
  #armed: CrashPoint | null = null;

  get armed(): CrashPoint | null {
    return this.#armed;
  }

  /** Arms one crash, in place of the one before it; `now` does not wait. False: there is no such place. */
  arm({ step, when }: { step?: unknown; when?: unknown }): boolean {
    if (when === 'now') this.#crash('crash, as asked');
    const place = crashPoints.find((point) => point.step === step);
    const moment = place?.moments.find((known) => known === when);
    if (!place || !moment) return false;
    this.#armed = { step: place.step, when: moment };
    return true;
  }

  disarm(): void {
    this.#armed = null;
  }

  override runStep<R>(fn: (step: StepContext) => Promise<R> | R, options: StepOptions = {}): Promise<R> {
    return this.#executing(options.name, (within) =>
      super.runStep((step) => within(() => fn(step)), options),
    );
  }

  override runTransaction<R>(
    fn: (tx: SqlClient) => Promise<R>,
    options: TransactionStepOptions = {},
  ): Promise<R> {
    return this.#executing(options.name, (within) =>
      super.runTransaction((tx) => within(() => fn(tx)), options),
    );
  }

  override setEvent<T>(key: string | EventKey<T>, value: T, options?: { once?: boolean }): Promise<void> {
    return this.#passing(`publish ${nameOf(key)}`, () => super.setEvent(key, value, options));
  }

  override recv<T>(topic?: string | Topic<T>, timeoutSeconds?: number): Promise<T | null> {
    return this.#passing(`wait for ${nameOf(topic)}`, () => super.recv(topic, timeoutSeconds));
  }

  override sleep(duration: Duration): Promise<void> {
    return this.#passing('sleep', () => super.sleep(duration));
  }

  override startWorkflow<A extends unknown[], R>(
    workflow: Workflow<A, R> | string,
    params?: StartParams,
  ): (...args: A) => Promise<WorkflowHandle<R>> {
    const start = super.startWorkflow(workflow as Workflow<A, R>, params);
    const name = typeof workflow === 'string' ? workflow : workflow.workflowName;
    return (...args) => this.#passing(`start ${name}`, () => start(...args));
  }

  /** A step or transaction: what is recorded does not run again, so neither the line nor the crash comes again. */
  async #executing<R>(
    name: string | undefined,
    run: (within: (work: () => Promise<R> | R) => Promise<R>) => Promise<R>,
  ): Promise<R> {
    let executed = false;
    const result = await run(async (work) => {
      executed = true;
      this.#reach('before', name);
      const value = await work();
      if (name && this.workflowID) this.#say(name);
      this.#reach('during', name);
      return value;
    });
    if (executed) this.#reach('after', name);
    return result;
  }

  async #passing<R>(name: string, run: () => Promise<R>): Promise<R> {
    this.#reach('before', name);
    const result = await run();
    this.#reach('after', name);
    return result;
  }

  #reach(when: CrashMoment, step: string | undefined): void {
    if (this.#armed?.when !== when || this.#armed.step !== step || !this.workflowID) return;
    this.#crash(`crash ${when} "${step}", as asked`);
  }

  #crash(reason: string): void {
    this.#say(reason);
    process.kill(process.pid, 'SIGKILL'); // nothing is flushed, closed or handed over
  }

  #say(text: string): void {
    const order = this.workflowID ? `${referenceOf(this.workflowID)} · ` : '';
    console.log(`${order}${text}`);
  }
}

function nameOf(named: string | { name: string } | undefined): string {
  return typeof named === 'string' ? named : (named?.name ?? 'a message');
}
