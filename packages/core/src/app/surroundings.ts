// Settings that hold for whatever is started inside a function: the next id, the timeout, the user.

import { checkName, checkWorkflowID, type Duration, toMilliseconds } from '../codec/index.ts';
import type { CallSettings } from '../engine/scope.ts';
import type { PawlCore } from './core.ts';

function within<T>(core: PawlCore, settings: Partial<CallSettings>, fn: () => Promise<T>): Promise<T> {
  const scope = core.scope();
  return core.storage.run({ ...scope, settings: { ...scope.settings, ...settings } }, fn);
}

export async function withNextWorkflowID<T>(core: PawlCore, id: string, fn: () => Promise<T>): Promise<T> {
  return within(core, { nextWorkflowID: { id: checkWorkflowID(id), taken: false } }, fn);
}

export async function withWorkflowTimeout<T>(
  core: PawlCore,
  timeout: Duration | null,
  fn: () => Promise<T>,
): Promise<T> {
  if (timeout !== null) toMilliseconds(timeout, 'workflow timeout');
  return within(core, { timeout }, fn);
}

export async function withAuth<T>(
  core: PawlCore,
  auth: { user?: string; roles?: string[] },
  fn: () => Promise<T>,
): Promise<T> {
  const { user, roles = [] } = auth;
  if (user !== undefined) checkName(user, 'user');
  for (const role of roles) checkName(role, 'role');
  return within(core, { auth: { user: user ?? null, roles } }, fn);
}
