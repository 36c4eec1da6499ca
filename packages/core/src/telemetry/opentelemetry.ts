// Owns the way to @opentelemetry/api, which may not be installed. Never registers a provider: that is the application's.

import type { Emitter } from './events.ts';
import { subscribeMetrics } from './metrics.ts';
import { SUPPRESSED } from './replay-context.ts';
import { subscribeRequests } from './request-spans.ts';
import type { MetricSources, Telemetry } from './telemetry.ts';
import { subscribeTracing } from './tracing.ts';
import type { OpenTelemetryApi } from './vocabulary.ts';

const NONE: Telemetry = { traceIDs: () => undefined, quietly: (fn) => fn(), stop: () => {} };

let loading: Promise<OpenTelemetryApi | undefined> | undefined;

/** undefined where it is not installed. */
function load(): Promise<OpenTelemetryApi | undefined> {
  loading ??= import('@opentelemetry/api').then(
    (module): OpenTelemetryApi => module,
    (error: unknown) => {
      if ((error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND') return undefined;
      throw error;
    },
  );
  return loading;
}

/**
 * Reports what the events tell. Does nothing if OpenTelemetry is not installed, or if the application has set up no SDK
 * by then.
 */
export async function startTelemetry(events: Emitter, sources: MetricSources): Promise<Telemetry> {
  const api = await load();
  if (api === undefined) return NONE;
  const traced = isTraced(api);
  const quiet = api.ROOT_CONTEXT.setValue(api.createContextKey(SUPPRESSED), true);
  const stops = [
    ...(traced ? [...subscribeTracing(api, events), ...subscribeRequests(api, events)] : []),
    ...subscribeMetrics(api, events, sources),
  ];
  return {
    traceIDs: () => {
      const ids = api.trace.getActiveSpan()?.spanContext();
      if (ids === undefined || !api.trace.isSpanContextValid(ids)) return undefined;
      return { trace_id: ids.traceId, span_id: ids.spanId };
    },
    quietly: traced ? (fn) => api.context.with(quiet, fn) : NONE.quietly,
    stop: () => {
      for (const stop of stops) stop();
    },
  };
}

/** Somebody has registered a provider of spans. */
function isTraced(api: OpenTelemetryApi): boolean {
  const provider = api.trace.getTracerProvider();
  return (
    !(provider instanceof api.ProxyTracerProvider) || provider.getDelegateTracer('@pawl/core') !== undefined
  );
}
