// What spans and metrics have in common: the type of the API, the scope's name, the form of an error.

import type * as api from '@opentelemetry/api';

export type OpenTelemetryApi = typeof api;

/** The instrumentation scope under which all that Pawl reports is found. */
export const SCOPE = '@pawl/core';

/** The error's class, as `error.type` wants it: never its message, which may hold what a user sent. */
export function errorType(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER';
  const { name } = error;
  return /^[\w$.]{1,80}$/.test(name) ? name : '_OTHER';
}
