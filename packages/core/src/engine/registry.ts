// What this process can run: workflows by name, each with the version of its source.

import { createHash } from 'node:crypto';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { checkName } from '../codec/index.ts';
import { ConfigurationError, NotRegisteredError } from '../errors/index.ts';
import type { Served } from '../store/lifecycle.ts';

export type DuplicatePolicy = 'return-existing' | 'reject' | 'reject-if-different';

// The registry holds functions of any signature; the types are checked where they are registered and called.
export type WorkflowFunction = (...args: never[]) => Promise<unknown>;

export interface Registration {
  readonly name: string;
  readonly fn: WorkflowFunction;
  readonly version: string;
  readonly input: StandardSchemaV1 | undefined;
  readonly maxRecoveryAttempts: number;
  readonly timeoutMs: number | undefined;
  readonly duplicatePolicy: DuplicatePolicy;
}

export interface Registry {
  add(registration: Omit<Registration, 'version'>): void;
  get(name: string): Registration;
  find(name: string): Registration | undefined;
  served(): readonly Served[];
  /** Versions are fixed from here on; an application version takes the place of the hashes. */
  freeze(applicationVersion: string | undefined): void;
}

export function createRegistry(): Registry {
  const registrations = new Map<string, Registration>();
  let applicationVersion: string | undefined;
  let served: Served[] | undefined;
  const versionOf = (fn: WorkflowFunction): string => applicationVersion ?? hashSource(fn);
  return {
    add: (registration) => {
      checkName(registration.name, 'workflow name');
      if (registrations.has(registration.name)) {
        throw new ConfigurationError(
          `A workflow named "${registration.name}" is registered already. Give this one another name: registerWorkflow(fn, { name: '…' }).`,
        );
      }
      registrations.set(registration.name, { ...registration, version: versionOf(registration.fn) });
      served = undefined;
    },
    find: (name) => registrations.get(name),
    get: (name) => {
      const found = registrations.get(name);
      if (found === undefined) throw new NotRegisteredError(name);
      return found;
    },
    served: () =>
      (served ??= [...registrations.values()].map(({ name, version, maxRecoveryAttempts }) => ({
        name,
        version,
        maxRecoveryAttempts,
      }))),
    freeze: (version) => {
      applicationVersion = version;
      served = undefined;
      for (const [name, registration] of registrations) {
        registrations.set(name, { ...registration, version: versionOf(registration.fn) });
      }
    },
  };
}

function hashSource(fn: WorkflowFunction): string {
  return createHash('sha256').update(Function.prototype.toString.call(fn)).digest('hex').slice(0, 16);
}
