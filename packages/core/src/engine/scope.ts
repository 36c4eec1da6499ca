// What asynchronous code is running inside of: a workflow, one of its steps, a `with…` block (scope-storage.ts carries it).

import type { Duration } from '../codec/index.ts';
import type { Activation } from './activation.ts';
import type { StepContext } from './step-context.ts';

/** Settings of `with…` blocks for the calls inside. */
export interface CallSettings {
  /** Taken by the first workflow or message that starts in the block. */
  readonly nextWorkflowID?: { id: string; taken: boolean };
  readonly timeout?: Duration | null;
  readonly auth?: { user: string | null; roles: readonly string[] };
  /** Ids for workflows started without one: the prefix, then prefix-1, prefix-2, … */
  readonly derived?: { prefix: string; count: number };
}

export interface Scope {
  readonly activation: Activation | undefined;
  /** Set inside a step or transaction. */
  readonly step: StepContext | undefined;
  readonly inTransaction: boolean;
  readonly settings: CallSettings;
}

export const NO_SETTINGS: CallSettings = {};

export const OUTSIDE: Scope = {
  activation: undefined,
  step: undefined,
  inTransaction: false,
  settings: NO_SETTINGS,
};

/** The id that a start or send without one takes from its surroundings. */
export function takeNextID(settings: CallSettings): string | undefined {
  const next = settings.nextWorkflowID;
  if (next !== undefined && !next.taken) {
    next.taken = true;
    return next.id;
  }
  const derived = settings.derived;
  if (derived === undefined) return undefined;
  const n = derived.count++;
  return n === 0 ? derived.prefix : `${derived.prefix}-${n}`;
}
