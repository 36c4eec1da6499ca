// The context in which a workflow's body runs again. As long as it repeats what an earlier run did, tracing is suppressed
// in it, for the user's own spans too; from there on it is like any other. A context is handed on when something is
// awaited, so one that is made at the beginning must be able to change its mind.

import type { Context } from '@opentelemetry/api';

import type { OpenTelemetryApi } from './vocabulary.ts';

/** How @opentelemetry/core marks a context in which no spans are to be made: `suppressTracing`. Keys of one name are equal. */
export const SUPPRESSED = 'OpenTelemetry SDK Context Key SUPPRESS_TRACING';

/** @param isReplaying asked whenever somebody asks the context */
export function replayContext(api: OpenTelemetryApi, base: Context, isReplaying: () => boolean): Context {
  const suppressed = api.createContextKey(SUPPRESSED);
  const over = (inner: Context): Context => ({
    getValue: (key) => (key === suppressed && isReplaying() ? true : inner.getValue(key)),
    setValue: (key, value) => {
      const next = inner.setValue(key, value);
      // A span that is suppressed is nobody's parent: what is opened inside of it later belongs to the run.
      return isReplaying() && isNoSpan(api, inner, next) ? over(inner) : over(next);
    },
    deleteValue: (key) => over(inner.deleteValue(key)),
  });
  return over(base);
}

function isNoSpan(api: OpenTelemetryApi, before: Context, after: Context): boolean {
  const span = api.trace.getSpan(after);
  return (
    span !== undefined &&
    span !== api.trace.getSpan(before) &&
    !api.trace.isSpanContextValid(span.spanContext())
  );
}
