// Counters, histograms and gauges for what the events tell. Their attributes are names from the code and outcomes,
// never ids: a series per workflow would be one per customer.

import type { Attributes } from '@opentelemetry/api';
import type { Emitter } from './events.ts';
import type { MetricSources } from './telemetry.ts';
import { errorType, type OpenTelemetryApi, SCOPE } from './vocabulary.ts';

const SECONDS = {
  unit: 's',
  advice: {
    explicitBucketBoundaries: [
      0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600, 86_400,
    ],
  },
};
const FLUSHED = { advice: { explicitBucketBoundaries: [1, 2, 5, 10, 20, 50, 100, 200, 500] } };
const FLUSH_TIME = {
  unit: 's',
  advice: { explicitBucketBoundaries: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5] },
};

export function subscribeMetrics(
  api: OpenTelemetryApi,
  events: Emitter,
  sources: MetricSources,
): (() => void)[] {
  const meter = api.metrics.getMeter(SCOPE);
  // No provider: nobody ever reads what would be counted.
  if (meter === api.createNoopMeter()) return [];
  const started = meter.createCounter('pawl.workflow.started', {
    unit: '{workflow}',
    description: 'Workflows that were started here',
  });
  const ended = meter.createCounter('pawl.workflow.ended', {
    unit: '{workflow}',
    description: 'Workflows that ended here, by outcome',
  });
  const duration = meter.createHistogram('pawl.workflow.duration', {
    ...SECONDS,
    description: 'From the begin of the first run to the end, waits included',
  });
  const stepDuration = meter.createHistogram('pawl.step.duration', {
    ...SECONDS,
    description: 'Of steps that executed, with all their attempts',
  });
  const recoveries = meter.createCounter('pawl.workflow.recoveries', {
    unit: '{workflow}',
    description: 'Workflows that this process took over from a dead one',
  });
  const flushSize = meter.createHistogram('pawl.journal.flush.size', {
    ...FLUSHED,
    unit: '{operation}',
    description: 'Durable operations that shared one commit',
  });
  const flushTime = meter.createHistogram('pawl.journal.flush.duration', {
    ...FLUSH_TIME,
    description: 'Of one commit, as this process sees it',
  });
  const keys = meter.createCounter('pawl.idempotency.outcomes', {
    unit: '{request}',
    description: 'Requests with an Idempotency-Key, by what became of them',
  });
  const webhooks = meter.createCounter('pawl.webhook.outcomes', {
    unit: '{delivery}',
    description: 'Deliveries of webhooks, by what the sender was told',
  });

  const active = meter.createObservableGauge('pawl.workflow.active', {
    unit: '{workflow}',
    description: 'Workflows in the memory of this process',
  });
  const parked = meter.createObservableGauge('pawl.workflow.parked', {
    unit: '{workflow}',
    description: 'Workflows that wait without memory; every process says the same',
  });
  const depth = meter.createObservableGauge('pawl.queue.depth', {
    unit: '{workflow}',
    description:
      'Workflows that wait in a queue, or are due, and that nobody runs yet; every process says the same',
  });
  const wait = meter.createObservableGauge('pawl.queue.wait', {
    unit: 's',
    description: 'How long the first of them has waited',
  });
  const gauges = [active, parked, depth, wait];
  const observe: Parameters<typeof meter.addBatchObservableCallback>[0] = async (result) => {
    result.observe(active, sources.active());
    // Without a database there is nothing to say, and that is said elsewhere.
    const waiting = await sources.waiting().catch(() => undefined);
    if (waiting === undefined) return;
    for (const { queue, ...row } of waiting) {
      const attributes = queue === null ? {} : { 'pawl.queue.name': queue };
      if (queue === null) result.observe(parked, row.parked);
      result.observe(depth, row.due, attributes);
      result.observe(wait, row.oldestSeconds, attributes);
    }
  };
  meter.addBatchObservableCallback(observe, gauges);

  return [
    () => meter.removeBatchObservableCallback(observe, gauges),
    events.on('workflow.started', ({ workflowName, outcome = 'failed' }) =>
      started.add(1, { 'pawl.workflow.name': workflowName, 'pawl.outcome': outcome }),
    ),
    events.on('workflow.ended', ({ workflowName, status, durationMs, error }) => {
      const attributes: Attributes = {
        'pawl.workflow.name': workflowName,
        'pawl.outcome': status.toLowerCase(),
        ...failure(error),
      };
      ended.add(1, attributes);
      // The database's clock, as this process estimates it.
      duration.record(Math.max(0, durationMs) / 1000, attributes);
    }),
    events.on('step.settled', ({ workflowName, name, durationMs, error }) =>
      stepDuration.record(durationMs / 1000, {
        'pawl.workflow.name': workflowName,
        'pawl.step.name': name,
        ...failure(error),
      }),
    ),
    events.on('executor.takeover', ({ workflows }) => recoveries.add(workflows)),
    events.on('journal.measured', ({ operations, durationMs }) => {
      flushSize.record(operations);
      flushTime.record(durationMs / 1000);
    }),
    events.on('request.keyed', ({ outcome }) => keys.add(1, { 'idempotency.outcome': outcome })),
    events.on('webhook.answered', ({ name, outcome }) =>
      webhooks.add(1, { 'pawl.webhook.name': name, 'pawl.outcome': outcome }),
    ),
  ];
}

function failure(error: unknown): Attributes {
  return error === undefined ? {} : { 'error.type': errorType(error) };
}
