// What spans a workflow leaves: their kinds, parents, links and attributes, as the real SDK exports them.
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Pawl } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { startSdk } from './sdk.ts';

const sdk = startSdk();
const tracer = trace.getTracer('the application');

beforeEach(() => sdk.reset());
afterAll(() => sdk.stop());

describeEachDriver('spans', (driver) => {
  let pawl: Pawl;
  beforeAll(async () => {
    pawl = await driver.launch();
  });

  test('a start, its run and its steps are one trace with the span around the start', async () => {
    const greet = pawl.registerWorkflow(
      async (name: string) => {
        await pawl.runStep(async () => tracer.startSpan('client call').end(), { name: 'fetch' });
        return pawl.runStep(() => `Hello, ${name}`, { name: 'greeting' });
      },
      { name: 'greet' },
    );
    await tracer.startActiveSpan('request', async (span) => {
      await (await pawl.startWorkflow(greet, { workflowID: 'greet-1' })('Ada')).getResult();
      span.end();
    });
    const [request, start, run, fetch, call, greeting] = await Promise.all(
      ['request', 'start greet', 'run greet', 'step fetch', 'client call', 'step greeting'].map(sdk.one),
    );
    expect(start).toMatchObject({
      kind: SpanKind.PRODUCER,
      parentID: request?.spanID,
      status: SpanStatusCode.UNSET,
    });
    expect(run).toMatchObject({
      kind: SpanKind.CONSUMER,
      parentID: start?.spanID,
      links: [],
      status: SpanStatusCode.UNSET,
    });
    expect(fetch).toMatchObject({ kind: SpanKind.INTERNAL, parentID: run?.spanID, events: [] });
    expect(greeting).toMatchObject({
      parentID: run?.spanID,
      attributes: { 'pawl.step.id': 1, 'pawl.workflow.id': 'greet-1' },
    });
    expect(call?.parentID).toBe(fetch?.spanID);
    expect(run?.attributes).toEqual({
      'pawl.workflow.name': 'greet',
      'pawl.workflow.id': 'greet-1',
      'pawl.outcome': 'success',
      'messaging.system': 'pawl',
      'messaging.operation.type': 'process',
      'messaging.operation.name': 'run',
      'messaging.destination.name': 'greet',
    });
    expect(new Set(sdk.spans().map(({ traceID }) => traceID)).size).toBe(1);
    expect(sdk.spans()).toHaveLength(6);
  });

  test('a workflow that nobody traces begins a trace of its own, and its child is in it', async () => {
    const child = pawl.registerWorkflow(async () => {}, { name: 'child' });
    const parent = pawl.registerWorkflow(
      async () => {
        await child();
      },
      { name: 'parent' },
    );
    await parent();
    const run = await sdk.one('run parent');
    const start = await sdk.one('start child');
    expect((await sdk.one('start parent')).parentID).toBeUndefined();
    expect(start.parentID).toBe(run.spanID);
    expect(await sdk.one('run child')).toMatchObject({ parentID: start.spanID, traceID: run.traceID });
  });

  test('the attempts of a step are one span, the later ones its events', async () => {
    const flaky = pawl.registerWorkflow(
      async () => {
        return pawl.runStep(
          ({ attempt }) => {
            tracer.startSpan(`call ${attempt}`).end();
            if (attempt < 3) throw new RangeError('secret words');
            return 'done';
          },
          { name: 'try', retriesAllowed: true, intervalSeconds: 0.001 },
        );
      },
      { name: 'flaky' },
    );
    await flaky();
    const step = await sdk.one('step try');
    expect(step.status).toBe(SpanStatusCode.UNSET);
    expect(step.events).toEqual(
      [2, 3].map((attempt) => ({
        name: 'attempt',
        attributes: { 'pawl.step.attempt': attempt, 'error.type': 'RangeError' },
      })),
    );
    for (const attempt of [1, 2, 3]) expect((await sdk.one(`call ${attempt}`)).parentID).toBe(step.spanID);
  });

  test('failures are errors, with the class of the error and without its message', async () => {
    const failing = pawl.registerWorkflow(
      async () => {
        await pawl.runStep(() => Promise.reject(new TypeError('secret words')), { name: 'break' });
      },
      { name: 'failing' },
    );
    await expect(failing()).rejects.toThrow('secret words');
    for (const name of ['step break', 'run failing'])
      expect(await sdk.one(name)).toMatchObject({
        status: SpanStatusCode.ERROR,
        attributes: { 'error.type': 'TypeError' },
      });
    await pawl.startWorkflow(failing, { workflowID: 'taken' })();
    sdk.reset();
    await expect(
      pawl.startWorkflow(failing, { workflowID: 'taken', duplicatePolicy: 'reject' })(),
    ).rejects.toThrow();
    expect(await sdk.one('start failing')).toMatchObject({
      status: SpanStatusCode.ERROR,
      attributes: { 'error.type': 'WorkflowIDInUseError' },
    });
    expect(await sdk.raw()).not.toContain('secret words');
  });

  test('a transaction is a step; spans of what it calls nest inside', async () => {
    const book = pawl.registerWorkflow(
      async () => {
        await pawl.runTransaction(
          async (tx) => {
            await tx.query('SELECT 1');
            tracer.startSpan('inside').end();
          },
          { name: 'booking' },
        );
        await pawl
          .runTransaction(() => Promise.reject(new SyntaxError('no')), { name: 'refused' })
          .catch(() => {});
      },
      { name: 'book' },
    );
    await book();
    const step = await sdk.one('step booking');
    expect((await sdk.one('inside')).parentID).toBe(step.spanID);
    expect(step.parentID).toBe((await sdk.one('run book')).spanID);
    expect(await sdk.one('step refused')).toMatchObject({
      status: SpanStatusCode.ERROR,
      attributes: { 'error.type': 'SyntaxError' },
    });
  });

  test('a message is sent in one trace and received in another, with a link between them', async () => {
    const receiver = pawl.registerWorkflow(
      async () => {
        return [await pawl.recv('news'), await pawl.recv('silence', 0)];
      },
      { name: 'receiver' },
    );
    const sender = pawl.registerWorkflow(
      async (id: string) => {
        await pawl.send(id, 'a secret', 'news');
      },
      { name: 'sender' },
    );
    const handle = await pawl.startWorkflow(receiver)();
    await sender(handle.workflowID);
    expect(await handle.getResult()).toEqual(['a secret', null]);
    const send = await sdk.one('send news');
    const receive = await sdk.one('receive news');
    expect(send).toMatchObject({ kind: SpanKind.PRODUCER, parentID: (await sdk.one('run sender')).spanID });
    expect(receive).toMatchObject({
      kind: SpanKind.CLIENT,
      parentID: (await sdk.one('run receiver')).spanID,
      links: [{ traceID: send.traceID, spanID: send.spanID }],
      attributes: { 'messaging.operation.type': 'receive', 'messaging.destination.name': 'news' },
    });
    expect(receive.traceID).not.toBe(send.traceID);
    expect(await sdk.one('receive silence')).toMatchObject({
      links: [],
      attributes: { 'pawl.timed_out': true },
    });
    expect(await sdk.raw()).not.toContain('a secret');
  });

  test('un-parking is a run of its own in the same trace, linked to the last; what is replayed leaves nothing', async () => {
    const pawl = await driver.launch({ parkAfterSeconds: 0 });
    const parked = pawl.registerWorkflow(
      async () => {
        await tracer.startActiveSpan('around', async (around) => {
          await pawl.runStep(() => {}, { name: 'before' });
          tracer.startSpan('body before').end();
          await pawl.recv('go on', 60);
          tracer.startSpan('body after').end();
          await pawl.runStep(() => {}, { name: 'after' });
          around.end();
        });
      },
      { name: 'parked' },
    );
    const handle = await pawl.startWorkflow(parked)();
    const first = await sdk.one('run parked');
    expect(first.attributes['pawl.outcome']).toBe('parked');
    await pawl.send(handle.workflowID, 'now', 'go on');
    await handle.getResult();
    const [, second, ...others] = await expect
      .poll(() => sdk.named('run parked'))
      .toHaveLength(2)
      .then(() => sdk.named('run parked'));
    expect(others).toEqual([]);
    expect(second).toMatchObject({
      traceID: first.traceID,
      parentID: (await sdk.one('start parked')).spanID,
      links: [{ traceID: first.traceID, spanID: first.spanID }],
      attributes: { 'pawl.recovery': false, 'pawl.replayed_steps': 1, 'pawl.outcome': 'success' },
    });
    expect((await sdk.one('step before')).parentID).toBe(first.spanID);
    expect((await sdk.one('step after')).parentID).toBe(second?.spanID);
    expect((await sdk.one('receive go on')).parentID).toBe(second?.spanID);
    await sdk.one('body before');
    // The span around it all was suppressed in the second run: what is opened inside of it is the run's.
    expect((await sdk.one('body after')).parentID).toBe(second?.spanID);
    expect(sdk.named('around')).toEqual([]);
  });

  test('a workflow that is started in a transaction is in the trace of its caller, whoever runs it', async () => {
    const later = pawl.registerWorkflow(
      async () => {
        tracer.startSpan('first words').end();
      },
      { name: 'later' },
    );
    const handle = await tracer.startActiveSpan('request', async (span) => {
      const started = await driver.transaction((transaction) => pawl.startWorkflow(later, { transaction })());
      span.end();
      return started;
    });
    await handle.getResult();
    const run = await sdk.one('run later');
    expect(run.parentID).toBe((await sdk.one('start later')).spanID);
    expect(run.attributes).not.toHaveProperty('pawl.recovery');
    expect(run.traceID).toBe((await sdk.one('request')).traceID);
    expect((await sdk.one('first words')).parentID).toBe(run.spanID);
  });

  test('a cancelled run ends as an error, a fork says what it replayed', async () => {
    const waiting = pawl.registerWorkflow(
      async () => {
        await pawl.runStep(() => 1, { name: 'one' });
        await pawl.recv('nothing');
      },
      { name: 'waiting' },
    );
    const handle = await pawl.startWorkflow(waiting)();
    await expect.poll(() => pawl.listWorkflowSteps(handle.workflowID)).toHaveLength(2);
    await handle.cancel();
    expect(await sdk.one('run waiting')).toMatchObject({
      status: SpanStatusCode.ERROR,
      attributes: { 'error.type': 'WorkflowCancelledError', 'pawl.outcome': 'cancelled' },
    });
    sdk.reset();
    const fork = await pawl.forkWorkflow(handle.workflowID, 1);
    await pawl.send(fork.workflowID, 'go', 'nothing');
    await fork.getResult();
    expect((await sdk.one('run waiting')).attributes).toMatchObject({ 'pawl.replayed_steps': 1 });
    expect(sdk.named('step one')).toEqual([]);
  });

  test('what an instrumentation of the database sees of ticks and flushes leaves no spans; a transaction does', async () => {
    const pawl = driver.create();
    const texts: string[] = [];
    internals(pawl).events.on('statement', ({ text }) => {
      texts.push(text);
      tracer.startSpan(`sql ${text}`).end();
    });
    const busy = pawl.registerWorkflow(
      async () => {
        await pawl.runStep(() => 1, { name: 'one' });
        await pawl.runTransaction((tx) => tx.query('SELECT 42'), { name: 'two' });
      },
      { name: 'busy' },
    );
    await pawl.launch();
    await tracer.startActiveSpan('request', async (span) => {
      await (await pawl.startWorkflow(busy)()).getResult();
      span.end();
    });
    await expect.poll(() => texts.filter((text) => text.includes('pawl.tick(')).length).toBeGreaterThan(1);
    expect(texts.some((text) => text.includes('flush'))).toBe(true);
    const sql = sdk.spans().filter(({ name }) => name.startsWith('sql '));
    expect((await sdk.one('sql SELECT 42')).parentID).toBe((await sdk.one('step two')).spanID);
    const { traceID } = await sdk.one('request');
    expect(new Set(sql.map((span) => span.traceID))).toEqual(new Set([traceID]));
    // The transaction's own, from BEGIN to the checkpoint and COMMIT, belong to the run.
    expect(sql.filter(({ name }) => /tick|claim|flush_one/.test(name))).toEqual([]);
  });
});
