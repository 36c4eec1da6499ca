// Spans for what the events tell: start, run, step, send, receive. Never puts a payload, a key or a tenant into one.
//
//   trace of the caller    HTTP ─ start ┐                    (or any span that is active where the start is called)
//   the same trace                      └ run ─┬ step
//                                              ├ start ─ run (of a child)
//                                              ├ send ┄┄┄┄┄┄┄┄┄ link ┐
//                          after a crash  run ─┴ step                └ receive, in the trace of the receiver

import type { Attributes, Context, Link, Span, SpanContext } from '@opentelemetry/api';
import type { Emitter, RunInfo, StartEvent } from './events.ts';
import { errorType, type OpenTelemetryApi, SCOPE } from './vocabulary.ts';
import { replayContext } from './replay-context.ts';
import { causeOf, serverSpanOf } from './request-spans.ts';
import { decodeTrace, encodeTrace } from './trace-context.ts';

interface OpenStep {
  readonly span: Span;
  lastError?: unknown;
}

interface OpenRun {
  readonly span: Span;
  /** Of the run's span, and nothing else: the same in every run. */
  readonly context: Context;
  readonly steps: Map<number, OpenStep>;
}

interface OpenStart {
  readonly span: Span;
  readonly run: Span | undefined;
}

export function subscribeTracing(api: OpenTelemetryApi, events: Emitter): (() => void)[] {
  const { context, trace, ROOT_CONTEXT, SpanKind, SpanStatusCode } = api;
  const tracer = trace.getTracer(SCOPE);
  const starts = new WeakMap<StartEvent, OpenStart>();
  const sends = new WeakMap<object, Span>();
  const runs = new WeakMap<RunInfo, OpenRun>();

  const end = (span: Span, error?: unknown): void => {
    if (error !== undefined) {
      span.setAttribute('error.type', errorType(error));
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end();
  };

  /** Where a span of something that a run does belongs; else that of the code that calls. */
  const around = (run: RunInfo | undefined): { parent: Context; links: Link[] } => {
    const open = run === undefined ? undefined : runs.get(run);
    if (open !== undefined) return { parent: open.context, links: [] };
    const parent = context.active();
    return { parent, links: linksTo(causeOf(api, parent)) };
  };

  /** The request that is being served is about this workflow. */
  const tellServer = (run: RunInfo | undefined, workflowID: string): void => {
    if (run === undefined) serverSpanOf(api, context.active())?.setAttribute('pawl.workflow.id', workflowID);
  };

  /** `last`: an earlier run of the same workflow. */
  const startRun = (
    name: string,
    workflowID: string,
    parent: Context,
    { last, attributes }: { last?: SpanContext | undefined; attributes?: Attributes } = {},
  ): Span =>
    tracer.startSpan(
      `run ${name}`,
      {
        kind: SpanKind.CONSUMER,
        links: linksTo(last),
        attributes: { ...workflow(name, workflowID), ...messaging('process', 'run', name), ...attributes },
      },
      parent,
    );

  const endRun = (run: RunInfo, outcome: string, error?: unknown): void => {
    const open = runs.get(run);
    if (open === undefined) return;
    open.span.setAttribute('pawl.outcome', outcome);
    // Of a cancelled workflow, steps that are under way are waited for and recorded.
    if (outcome !== 'cancelled') {
      for (const { span } of open.steps.values()) span.end();
      open.steps.clear();
    }
    end(open.span, error);
  };

  return [
    events.on('workflow.starting', (event) => {
      const { workflowName: name, workflowID } = event;
      tellServer(event.parent, workflowID);
      const { parent, links } = around(event.parent);
      const attributes = { ...workflow(name, workflowID), ...messaging('create', 'start', name) };
      const span = tracer.startSpan(`start ${name}`, { kind: SpanKind.PRODUCER, links, attributes }, parent);
      const origin = span.spanContext();
      if (!trace.isSpanContextValid(origin)) return;
      // Both in the one statement of the start. Should that find another workflow, its run is never ended, nor exported.
      const run = event.here
        ? startRun(name, workflowID, trace.setSpanContext(ROOT_CONTEXT, origin))
        : undefined;
      starts.set(event, { span, run });
      event.trace = encodeTrace({ origin, run: run?.spanContext(), deaths: 0 });
    }),
    events.on('workflow.started', (event) => {
      const open = starts.get(event);
      if (open === undefined) return;
      open.span.setAttribute('pawl.outcome', event.outcome ?? 'failed');
      end(open.span, event.error);
    }),

    events.on('workflow.activated', (event) => {
      const { run, workflowName: name, workflowID, start, rerun, deaths, recordedSteps } = event;
      let span = start === undefined ? undefined : starts.get(start)?.run;
      if (span === undefined) {
        const stored = decodeTrace(event.trace, api.createTraceState);
        const parent =
          stored === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, stored.origin);
        const attributes: Attributes = {};
        if (rerun) attributes['pawl.recovery'] = deaths > (stored?.deaths ?? 0);
        // A fork replays in its first run.
        if (rerun || recordedSteps > 0) attributes['pawl.replayed_steps'] = recordedSteps;
        span = startRun(name, workflowID, parent, { last: stored?.run, attributes });
        const own = span.spanContext();
        if (trace.isSpanContextValid(own))
          event.trace = encodeTrace({ origin: stored?.origin ?? own, run: own, deaths });
      }
      if (!trace.isSpanContextValid(span.spanContext())) return;
      const plain = trace.setSpan(ROOT_CONTEXT, span);
      runs.set(run, { span, context: plain, steps: new Map() });
      const around = run.live ? plain : replayContext(api, plain, () => !run.live);
      event.within = (body) => context.with(around, body);
    }),
    events.on('workflow.ended', ({ run, status, error }) => endRun(run, status.toLowerCase(), error)),
    events.on('workflow.parked', ({ run }) => endRun(run, 'parked')),
    events.on('workflow.left', ({ run, why }) => endRun(run, why)),
    events.on('workflow.blocked', ({ run, error }) => {
      if (run !== undefined) endRun(run, 'blocked', error);
    }),

    events.on('step.started', (event) => {
      const { run, stepID, name, attempt } = event;
      const open = runs.get(run);
      if (open === undefined) return;
      let step = open.steps.get(stepID);
      if (step === undefined) {
        const attributes = {
          'pawl.workflow.id': run.workflowID,
          'pawl.step.id': stepID,
          'pawl.step.name': name,
        };
        step = { span: tracer.startSpan(`step ${name}`, { attributes }, open.context) };
        open.steps.set(stepID, step);
      }
      const { span, lastError } = step;
      if (attempt > 1) {
        const attributes: Attributes = { 'pawl.step.attempt': attempt };
        // What the attempt before it ended with; after a crash there is nobody to say so.
        if (lastError !== undefined) attributes['error.type'] = errorType(lastError);
        span.addEvent('attempt', attributes);
      }
      event.within = (fn) => context.with(trace.setSpan(open.context, span), fn);
    }),
    events.on('step.ended', ({ run, stepID, error }) => {
      const step = runs.get(run)?.steps.get(stepID);
      if (step !== undefined) step.lastError = error;
    }),
    events.on('step.settled', ({ run, stepID, error }) => {
      const steps = runs.get(run)?.steps;
      const step = steps?.get(stepID);
      if (step === undefined) return;
      steps?.delete(stepID);
      end(step.span, error);
    }),

    events.on('message.sending', (event) => {
      const { run, destination, topic } = event;
      tellServer(run, destination);
      const { parent, links } = around(run);
      const attributes = { ...messaging('send', 'send', topic), 'pawl.workflow.id': destination };
      const span = tracer.startSpan(
        named('send', topic),
        { kind: SpanKind.PRODUCER, links, attributes },
        parent,
      );
      sends.set(event, span);
      const origin = span.spanContext();
      if (trace.isSpanContextValid(origin)) event.trace = encodeTrace({ origin, deaths: 0 });
    }),
    events.on('message.sent', (event) => {
      const span = sends.get(event);
      if (span !== undefined) end(span, event.error);
    }),
    events.on('message.received', ({ run, topic, since, trace: text, timedOut }) => {
      const open = runs.get(run);
      if (open === undefined) return;
      const attributes: Attributes = {
        ...messaging('receive', 'recv', topic),
        'pawl.workflow.id': run.workflowID,
      };
      if (timedOut) attributes['pawl.timed_out'] = true;
      const links = linksTo(decodeTrace(text, api.createTraceState)?.origin);
      const options = { kind: SpanKind.CLIENT, startTime: since, links, attributes };
      tracer.startSpan(named('receive', topic), options, open.context).end();
    }),
  ];
}

function linksTo(context: SpanContext | undefined): Link[] {
  return context === undefined ? [] : [{ context }];
}

function named(verb: string, topic: string): string {
  return topic === '' ? verb : `${verb} ${topic}`;
}

function workflow(name: string, id: string): Attributes {
  return { 'pawl.workflow.name': name, 'pawl.workflow.id': id };
}

/** https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/ */
function messaging(
  type: 'create' | 'send' | 'receive' | 'process',
  name: string,
  destination: string,
): Attributes {
  return {
    'messaging.system': 'pawl',
    'messaging.operation.type': type,
    'messaging.operation.name': name,
    ...(destination === '' ? {} : { 'messaging.destination.name': destination }),
  };
}
