// Handles: a workflow's id with what callers ask of it. Inside a workflow, asking is a recorded step.

import { secondsToMilliseconds } from '../codec/index.ts';
import { readOutcome } from '../engine/outcome.ts';
import { wait, waitKeys } from '../engine/waits.ts';
import { InStepError, NotLaunchedError, TimeoutError, ValidationError } from '../errors/index.ts';
import type { PawlCore } from './core.ts';
import { cancelWorkflows } from './management.ts';
import { readStatus, type WorkflowStatus } from './status.ts';
import { withTimeout } from './with-timeout.ts';

export interface WorkflowHandle<R> {
  readonly workflowID: string;
  /** null if there is no such workflow. */
  getStatus(): Promise<WorkflowStatus | null>;
  /**
   * The result; rejects with the workflow's error. An id that nobody started yet is waited for.
   * @throws TimeoutError if it takes longer than `timeoutSeconds`
   */
  getResult(options?: { timeoutSeconds?: number }): Promise<R>;
  cancel(options?: { cancelChildren?: boolean }): Promise<void>;
}

export function createHandle<R>(core: PawlCore, workflowID: string): WorkflowHandle<R> {
  return {
    workflowID,
    getStatus: () => core.recordedCall('getStatus', () => readStatus(core, workflowID)),
    getResult: (options) => core.observed(getResult<R>(core, workflowID, options)),
    cancel: (options) => core.observed(cancelWorkflows(core, [workflowID], options)),
  };
}

/** The first to end, well or not. That we may not wait, or not any longer, is no end of theirs. */
export async function waitFirst<R>(handles: readonly WorkflowHandle<R>[]): Promise<WorkflowHandle<R>> {
  if (handles.length === 0) throw new ValidationError('waitFirst() takes at least one handle.');
  return Promise.race(
    handles.map((handle) =>
      handle.getResult().then(
        () => handle,
        (error: unknown) => {
          if (error instanceof NotLaunchedError || error instanceof InStepError) throw error;
          return handle;
        },
      ),
    ),
  );
}

function getResult<R>(
  core: PawlCore,
  workflowID: string,
  options: { timeoutSeconds?: number } = {},
): Promise<R> {
  try {
    const runtime = core.outsideTransaction('getResult');
    const { engine } = runtime;
    const scope = core.scope();
    const timeoutMs =
      options.timeoutSeconds === undefined
        ? Number.POSITIVE_INFINITY
        : secondsToMilliseconds(options.timeoutSeconds, 'timeoutSeconds of getResult', {
            allowInfinity: true,
          });
    const { activation } = scope;
    if (activation !== undefined && scope.step === undefined) {
      return (
        activation.refusal() ??
        new Promise<R>((resolve, reject) => {
          wait(engine, activation, {
            part: {
              kind: 'getResult',
              name: null,
              target: workflowID,
              timeoutMs: Number.isFinite(timeoutMs) ? timeoutMs : null,
            },
            key: waitKeys.result(workflowID),
            deliver: ({ outcome, output, error }) => {
              try {
                resolve(readOutcome(core.codec, workflowID, { status: outcome ?? '', output, error }) as R);
              } catch (thrown) {
                reject(thrown);
              }
            },
            reject,
          });
        })
      );
    }
    const { promise, looked, abandon } = runtime.outcome(workflowID);
    return withTimeout(promise, {
      timeoutMs,
      looked,
      abandon,
      late: () =>
        new TimeoutError(
          `Workflow "${workflowID}" did not end within ${timeoutMs / 1000} seconds. It goes on; ask again for its result.`,
        ),
    }).then((outcome) => readOutcome(core.codec, workflowID, outcome) as R);
  } catch (error) {
    return Promise.reject(error);
  }
}
