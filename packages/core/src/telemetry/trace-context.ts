// The text that carries a trace over the database: with a workflow's row, and with a message.
//
//   {traceparent} {span id of the last run} {deaths before that run} {tracestate}
//
// The traceparent is that of W3C Trace Context (https://www.w3.org/TR/trace-context/#traceparent-header): of the span that
// started the workflow or sent the message. All runs of a workflow are in its trace, so a run needs no more than a span id.
// A part that is not there is `-`. Baggage is not carried: it holds what belongs to the application, and to its users.

import type { SpanContext, TraceState } from '@opentelemetry/api';

export interface StoredTrace {
  /** Of the start, or of the sender. */
  readonly origin: SpanContext;
  /** Of the last run. */
  readonly run?: SpanContext | undefined;
  /** How often the workflow's process had died when that run began. */
  readonly deaths: number;
}

const FORM = /^00-([\da-f]{32})-([\da-f]{16})-([\da-f]{2}) ([\da-f]{16}|-) (\d+)(?: (.+))?$/;

export function encodeTrace({ origin, run, deaths }: StoredTrace): string {
  const { traceId, spanId, traceFlags, traceState } = origin;
  const flags = (traceFlags & 0xff).toString(16).padStart(2, '0');
  const state = traceState?.serialize() ?? '';
  return `00-${traceId}-${spanId}-${flags} ${run?.spanId ?? '-'} ${deaths}${state === '' ? '' : ` ${state}`}`;
}

/** undefined for a text that is not one of ours: tracing never stands in the way of a workflow. */
export function decodeTrace(
  text: string | undefined,
  createTraceState: (serialized: string) => TraceState,
): StoredTrace | undefined {
  const [, traceId, spanId, flags, runSpanId, deaths, state] = FORM.exec(text ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const shared = { traceId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  const traceState = state === undefined ? {} : { traceState: createTraceState(state) };
  return {
    origin: { ...shared, ...traceState, spanId },
    run:
      runSpanId === undefined || runSpanId === '-'
        ? undefined
        : { ...shared, ...traceState, spanId: runSpanId },
    deaths: Number(deaths),
  };
}
