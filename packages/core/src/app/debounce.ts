// debounce(): calls in quick succession become one run. Checks of what is given; the engine does the rest.

import { checkName, type Duration, newID, toMilliseconds } from '../codec/index.ts';
import { debounceFromOutside, debounceFromWorkflow } from '../engine/debounce.ts';
import { ConfigurationError, InStepError } from '../errors/index.ts';
import { checkOptions } from './check-options.ts';
import type { PawlCore } from './core.ts';
import { createHandle, type WorkflowHandle } from './handles.ts';
import { encodeInput, readRequest } from './workflows.ts';

export interface DebounceOptions {
  /** Calls of one workflow with one key belong together: the id of the document, of the customer. 1 to 255 characters. */
  key: string;
  /** The run begins so long after the last call. Above 0, by the database's clock. */
  period: Duration;
  /** It begins no later than so long after the first call, though calls go on. At least `period`. Default: no bound. */
  maxWait?: Duration;
}

export async function debounce<R>(
  core: PawlCore,
  workflow: { workflowName: string } | string,
  options: DebounceOptions,
  args: unknown[],
): Promise<WorkflowHandle<R>> {
  const { engine } = core.outsideTransaction('debounce');
  const { activation, step } = core.scope();
  if (step !== undefined) throw new InStepError('debounce', 'step', activation?.workflowID);
  const settings = readOptions(options);
  // A run that many call for has an id of its own: that of `withNextWorkflowID` stays for the next start.
  const params = { workflowID: newID(), delay: settings.periodMs };
  const start = readRequest(core, workflow, params);
  const input = (async () => encodeInput(core, start.registration, args))();
  let workflowID: string;
  if (activation !== undefined) {
    input.catch(() => {});
    workflowID = await debounceFromWorkflow(engine, activation, { ...settings, start }, input);
  } else {
    start.input = await input;
    workflowID = await debounceFromOutside(engine, { ...settings, start });
  }
  return createHandle<R>(core, workflowID);
}

const OPTIONS: Record<keyof DebounceOptions, true> = { key: true, period: true, maxWait: true };

function readOptions(options: DebounceOptions): { key: string; periodMs: number; maxWaitMs: number | null } {
  checkOptions('debounce()', options ?? null, OPTIONS);
  const key = checkName(options.key, 'debounce key');
  const periodMs = toMilliseconds(options.period, `period of debounce key "${key}"`);
  if (periodMs === 0)
    throw new ConfigurationError(
      `The period of debounce key "${key}" must be above 0. To begin at once, use startWorkflow().`,
    );
  const { maxWait } = options;
  const maxWaitMs =
    maxWait === undefined ? null : toMilliseconds(maxWait, `maxWait of debounce key "${key}"`);
  if (maxWaitMs !== null && maxWaitMs < periodMs)
    throw new ConfigurationError(
      `The maxWait of debounce key "${key}" (${maxWaitMs} ms) must be at least its period (${periodMs} ms).`,
    );
  return { key, periodMs, maxWaitMs };
}
