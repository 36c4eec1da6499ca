// Carries the scope along asynchronous code. Each Pawl has its own, so that two of them in one process never see each
// other; all share one AsyncLocalStorage, since every one that was ever used makes each `await` of the process slower (ten of
// them from 0.3 to 1.1 us, sixty to 9 us), and a test suite may make a Pawl per test.

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Scope } from './scope.ts';

interface Entry {
  readonly of: ScopeStorage;
  readonly scope: Scope;
  /** Those of other Pawls that we are inside of, the innermost first: one each. */
  readonly others: Entry | undefined;
}

const entries = new AsyncLocalStorage<Entry>();

export class ScopeStorage {
  run<A extends unknown[], R>(scope: Scope, fn: (...args: A) => R, ...args: A): R {
    return entries.run({ of: this, scope, others: without(entries.getStore(), this) }, fn, ...args);
  }

  getStore(): Scope | undefined {
    let entry = entries.getStore();
    while (entry !== undefined && entry.of !== this) entry = entry.others;
    return entry?.scope;
  }
}

/** What is replaced must not be held: a workflow that starts the next one would hold all before it. */
function without(entry: Entry | undefined, storage: ScopeStorage): Entry | undefined {
  if (entry === undefined) return undefined;
  if (entry.of === storage) return entry.others;
  return { ...entry, others: without(entry.others, storage) };
}
