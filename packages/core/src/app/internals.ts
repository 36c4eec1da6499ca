// The inside of a Pawl for the entry points of this package: http, testing. Not exported to users.

import type { Codec } from '../codec/index.ts';
import type { Database } from '../store/database.ts';
import type { Emitter } from '../telemetry/events.ts';
import type { PawlCore } from './core.ts';
import type { Runtime } from './runtime.ts';

export interface Internals {
  readonly core: PawlCore;
  readonly codec: Codec;
  readonly events: Emitter;
  /** Throws `NotLaunchedError` before launch. */
  readonly runtime: Runtime;
  readonly database: Database;
  /** Workflows started in `fn` without an id get `prefix`, then `prefix-1`, `prefix-2`, … */
  withDerivedWorkflowIDs<T>(prefix: string, fn: () => T): T;
}

const insides = new WeakMap<object, PawlCore>();

export function setInternals(pawl: object, core: PawlCore): void {
  insides.set(pawl, core);
}

export function internals(pawl: object): Internals {
  const core = insides.get(pawl);
  if (core === undefined)
    throw new TypeError('This is not a Pawl of this copy of @pawl/core. Is the package installed twice?');
  return {
    core,
    codec: core.codec,
    events: core.events,
    get runtime() {
      return core.running('internals');
    },
    get database() {
      return core.running('internals').database;
    },
    withDerivedWorkflowIDs: (prefix, fn) => {
      const scope = core.scope();
      return core.storage.run(
        { ...scope, settings: { ...scope.settings, derived: { prefix, count: 0 } } },
        fn,
      );
    },
  };
}
