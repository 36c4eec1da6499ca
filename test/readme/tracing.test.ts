// docs/tracing.md: its set-up and its app leave the spans, metrics and lines that the page says.
import type { Server } from 'node:http';
import {
  InMemoryMetricExporter,
  AggregationTemporality,
  type MeterProvider,
} from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, type NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import type { Pawl } from '@pawl/core';
import request from 'supertest';
import { expect, test } from 'vitest';
import { read, samplesIn } from './samples.ts';

const { sample, run, save, atEnd } = samplesIn('docs/tracing.md');

test('the set-up and the app report what the tables name', async () => {
  const exporters = {
    spans: new InMemorySpanExporter(),
    metrics: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
  };
  Object.assign(globalThis, { exporters });
  const { spans, meters } = (await import(
    save(
      'set-up',
      sample('ConsoleSpanExporter', {
        'new ConsoleSpanExporter()': '(globalThis as any).exporters.spans',
        'new ConsoleMetricExporter()': '(globalThis as any).exporters.metrics',
      }),
    )
  )) as { spans: NodeTracerProvider; meters: MeterProvider };
  atEnd(() => Promise.all([spans.shutdown(), meters.shutdown()]));
  const lines: string[] = [];
  Object.assign(globalThis, { lines: { write: (line: string) => lines.push(line) } });
  const { server, pawl } = await run<{ server: Server; pawl: Pawl }>(
    'app',
    sample('registerWorkflow', {
      'listen(3000)': "listen(0, '127.0.0.1')",
      'pino()': 'pino({}, (globalThis as any).lines)',
    }),
  );
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
  atEnd(() => new Promise((resolve) => server.close(resolve)));

  const accepted = await request(server)
    .post('/orders')
    .set({ 'Idempotency-Key': 'key', Prefer: 'respond-async' })
    .send({ item: 'cup' })
    .expect(202);
  const { workflowID } = accepted.body as { workflowID: string };
  await pawl.send(workflowID, 'home', 'address');
  await pawl.retrieveWorkflow(workflowID).getResult();
  await expect
    .poll(async () => {
      await spans.forceFlush();
      return exporters.spans
        .getFinishedSpans()
        .map(({ name }) => name)
        .sort();
    })
    .toEqual([
      'POST /orders',
      'ask the warehouse',
      'label',
      'receive address',
      'run fulfil',
      'send address',
      'start fulfil',
      'step pack',
      'step print',
    ]);
  const packed = lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .find(({ msg }) => msg === 'packed');
  const [start] = exporters.spans.getFinishedSpans().filter(({ name }) => name === 'start fulfil');
  expect(packed).toMatchObject({ workflowID, trace_id: start?.spanContext().traceId });

  await meters.forceFlush();
  const reported =
    exporters.metrics
      .getMetrics()
      .at(-1)
      ?.scopeMetrics.flatMap(({ metrics }) => metrics.map(({ descriptor }) => descriptor.name)) ?? [];
  const named = new Set(
    [
      ...read('docs/tracing.md').matchAll(
        /`(pawl\.(?:workflow|step|queue|journal|idempotency|webhook)\.[\w.]+)`/g,
      ),
    ].map(([, name]) => name),
  );
  for (const name of reported) expect([name, named.has(name)]).toEqual([name, true]);
  expect(reported.length).toBeGreaterThan(8);
});
