// What a step function gets. The signal is made only if somebody asks for it.

import type { Activation } from './activation.ts';

/** The context of one attempt of a step. */
export class StepContext {
  /** The workflow that the step belongs to. */
  readonly workflowID: string;
  /** Counts from 0 in call order. */
  readonly stepID: number;
  /** 1 for the first attempt. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly #activation: Activation | undefined;
  #controller: AbortController | undefined;
  #reason: unknown;
  #unsubscribe: (() => void) | undefined;

  constructor(activation: Activation | undefined, stepID: number, attempt: number, maxAttempts: number) {
    this.#activation = activation;
    this.workflowID = activation?.workflowID ?? '';
    this.stepID = stepID;
    this.attempt = attempt;
    this.maxAttempts = maxAttempts;
  }

  /** Stable over retries, recovery and resume: hand it to the payment provider. */
  get idempotencyKey(): string {
    return `${this.workflowID}:${this.stepID}`;
  }

  /** Aborted when the workflow is cancelled or the step outlives its timeout. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      if (this.#reason !== undefined) controller.abort(this.#reason);
      else this.#unsubscribe = this.#activation?.onAbort((reason) => controller.abort(reason));
    }
    return this.#controller.signal;
  }

  /**
   * The workflow was cancelled, the function knows, and threw: it was interrupted, which is no result of the step. A
   * resume runs it again.
   */
  wasInterruptedBy(error: unknown): boolean {
    const cancellation = this.#activation?.cancellation;
    return (
      cancellation !== undefined &&
      (error === cancellation || this.#controller?.signal.reason === cancellation)
    );
  }

  /** The attempt is over, or out of time (then with a reason). */
  close(reason?: unknown): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    if (reason !== undefined) {
      this.#reason = reason;
      this.#controller?.abort(reason);
    }
  }
}
