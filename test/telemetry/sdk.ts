// The real OpenTelemetry SDK, set up as an application would, with exporters that keep what they get.
import { context, metrics, propagation, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { vi } from 'vitest';
import { type Seen, seen } from './seen.ts';

export interface Sdk {
  readonly exporter: InMemorySpanExporter;
  /** Everything that was exported, raw: spans and metrics. */
  raw(): Promise<string>;
  spans(): Seen[];
  named(name: string): Seen[];
  /** The only span of that name, once it is there. */
  one(name: string): Promise<Seen>;
  /** The sum, count or value of each series of a metric, by its attributes as JSON. */
  metric(name: string): Promise<Record<string, number>>;
  reset(): void;
  stop(): Promise<void>;
}

/** Call it before the first `launch()`: once per process. */
export function startSdk(): Sdk {
  const exporter = new InMemorySpanExporter();
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  provider.register();
  const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({
    exporter: metricExporter,
    exportIntervalMillis: 3_600_000,
  });
  const meters = new MeterProvider({ readers: [reader] });
  metrics.setGlobalMeterProvider(meters);

  const collect = async () => {
    await reader.forceFlush();
    return (
      metricExporter
        .getMetrics()
        .at(-1)
        ?.scopeMetrics.flatMap(({ metrics: all }) => all) ?? []
    );
  };
  const sdk: Sdk = {
    exporter,
    raw: async () => {
      const all = exporter
        .getFinishedSpans()
        .map(({ name, attributes, events, links, status }) => ({ name, attributes, events, links, status }));
      return JSON.stringify([all, await collect()]);
    },
    spans: () => exporter.getFinishedSpans().map(seen),
    named: (name) => sdk.spans().filter((span) => span.name === name),
    one: (name) =>
      vi.waitFor(() => {
        const [span, ...others] = sdk.named(name);
        if (span === undefined || others.length > 0)
          throw new Error(
            `${others.length + (span === undefined ? 0 : 1)} spans "${name}" among: ${sdk
              .spans()
              .map((each) => each.name)
              .join(', ')}`,
          );
        return span;
      }, 10_000),
    metric: async (name) => {
      const found = (await collect()).find(({ descriptor }) => descriptor.name === name);
      return Object.fromEntries(
        found?.dataPoints.map(({ attributes, value }) => [
          JSON.stringify(attributes),
          typeof value === 'number' ? value : (value as { count: number }).count,
        ]) ?? [],
      );
    },
    reset: () => exporter.reset(),
    stop: async () => {
      await provider.shutdown();
      await meters.shutdown();
      trace.disable();
      context.disable();
      propagation.disable();
      metrics.disable();
    },
  };
  return sdk;
}
