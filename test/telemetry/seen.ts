// A span as tests look at it.
import type { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';

/** What of a span is compared in tests. */
export interface Seen {
  readonly name: string;
  readonly kind: SpanKind;
  readonly traceID: string;
  readonly spanID: string;
  readonly parentID: string | undefined;
  readonly links: readonly { traceID: string; spanID: string }[];
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly { name: string; attributes: Readonly<Record<string, unknown>> }[];
  readonly status: SpanStatusCode;
}

export function seen(span: ReadableSpan): Seen {
  const { traceId, spanId } = span.spanContext();
  return {
    name: span.name,
    kind: span.kind,
    traceID: traceId,
    spanID: spanId,
    parentID: span.parentSpanContext?.spanId,
    links: span.links.map(({ context: to }) => ({ traceID: to.traceId, spanID: to.spanId })),
    attributes: span.attributes,
    events: span.events.map(({ name, attributes = {} }) => ({ name, attributes })),
    status: span.status.code,
  };
}
