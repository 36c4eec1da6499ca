// The span of a request: one that is active, or one of ours; and what it says.
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, context, propagation, trace } from '@opentelemetry/api';
import { verify } from '@pawl/core/http';
import request from 'supertest';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { appUnderTest } from '../http/app-under-test.ts';
import { frameworks } from '../http/frameworks.ts';
import { startSdk } from './sdk.ts';

const sdk = startSdk();
const tracer = trace.getTracer('an instrumentation of HTTP');

beforeEach(() => sdk.reset());
afterAll(() => sdk.stop());

const sender = { traceID: 'a'.repeat(32), spanID: 'b'.repeat(16) };
const traceparent = `00-${sender.traceID}-${sender.spanID}-01`;
/** Where @opentelemetry/instrumentation-http leaves its span, for others that know more of the request. */
const rpcKey = Symbol.for('OpenTelemetry SDK Context Key RPC_METADATA');

describe.each(frameworks)('requests on $name', (framework) => {
  const app = appUnderTest(framework);
  let flows = 0;
  const workflow = () =>
    app.pawl.registerWorkflow(async () => app.pawl.runStep(() => 'done', { name: 'work' }), {
      name: `flow ${framework.name} ${++flows}`,
    });

  /** An instrumentation of HTTP, with the span of a middleware inside of its own. */
  function instrument(): void {
    const [handle] = app.server.listeners('request') as ((...args: unknown[]) => void)[];
    app.server.removeAllListeners('request');
    app.server.on('request', (req, res) => {
      const incoming = propagation.extract(ROOT_CONTEXT, req.headers);
      const server = tracer.startSpan('instrumented', { kind: SpanKind.SERVER }, incoming);
      const middleware = tracer.startSpan('middleware', {}, trace.setSpan(incoming, server));
      res.on('close', () => {
        middleware.end();
        server.end();
      });
      const inside = trace.setSpan(incoming, middleware).setValue(rpcKey, { type: 'http', span: server });
      context.with(inside, () => handle?.call(app.server, req, res));
    });
  }

  test('a wrapped handler runs in the span of its request, with and without a key', async () => {
    const flow = workflow();
    app.serve((routes) =>
      routes.idempotent('/wrapped/:id', {}, async () => ({
        json: await (await app.pawl.startWorkflow(flow)()).getResult(),
      })),
    );
    const key = app.newKey();
    const expected = {
      name: 'POST /wrapped/:id',
      kind: SpanKind.SERVER,
      traceID: sender.traceID,
      parentID: sender.spanID,
      status: SpanStatusCode.UNSET,
    };
    for (const [given, outcome] of [
      [key, 'new'],
      [key, 'replayed'],
      [undefined, undefined],
    ] as const) {
      sdk.reset();
      await app.post('/wrapped/7', given, { n: 1 }).set('traceparent', traceparent).expect(200);
      const server = await sdk.one('POST /wrapped/:id');
      expect(server).toMatchObject(expected);
      expect(server.attributes['idempotency.outcome']).toBe(outcome);
      if (outcome === 'replayed') expect(sdk.spans()).toHaveLength(1);
      else expect((await sdk.one(`start ${flow.workflowName}`)).parentID).toBe(server.spanID);
    }
    sdk.reset();
    await app.post('/wrapped/7', key, { n: 2 }).expect(422);
    expect((await sdk.one('POST /wrapped/:id')).attributes['idempotency.outcome']).toBe('reused');
  });

  test('a span that is active is used, and told', async () => {
    const flow = workflow();
    app.serve((routes) => routes.endpoint('/orders', flow));
    instrument();
    await app.post('/orders', app.newKey(), {}).set('traceparent', traceparent).expect(200);
    const server = await sdk.one('instrumented');
    const start = await sdk.one(`start ${flow.workflowName}`);
    expect(start.parentID).toBe((await sdk.one('middleware')).spanID);
    expect(server.attributes).toEqual({
      'idempotency.outcome': 'new',
      'pawl.workflow.id': start.attributes['pawl.workflow.id'],
    });
    expect(sdk.spans().filter(({ kind }) => kind === SpanKind.SERVER)).toEqual([server]);
  });

  test('the sender of a webhook is linked to, and never a parent of what we do', async () => {
    const flow = workflow();
    const name = `sender ${framework.name}`;
    app.serve((routes) =>
      routes.webhook<object>('/hook', {
        name,
        verify: verify.unsafeNone(),
        route: () => ({ start: flow, input: null }),
      }),
    );
    const deliver = (id: string) =>
      request(app.server).post('/hook').set('traceparent', traceparent).send({ id }).expect(202);
    await deliver('one');
    const server = await sdk.one('POST /hook');
    expect(server).toMatchObject({ links: [sender], kind: SpanKind.SERVER });
    expect(server.parentID).toBeUndefined();
    expect((await sdk.one(`start ${flow.workflowName}`)).parentID).toBe(server.spanID);
    const { spanID } = await sdk.one(`start ${flow.workflowName}`);
    expect((await sdk.one(`run ${flow.workflowName}`)).parentID).toBe(spanID);

    // An instrumentation has made the sender the parent of its span, as it does of every request.
    sdk.reset();
    instrument();
    await deliver('two');
    const around = await sdk.one('instrumented');
    const middleware = await sdk.one('middleware');
    expect(around.traceID).toBe(sender.traceID);
    const start = await sdk.one(`start ${flow.workflowName}`);
    expect(start.traceID).not.toBe(sender.traceID);
    expect(start).toMatchObject({ links: [{ traceID: sender.traceID, spanID: middleware.spanID }] });
    expect(start.parentID).toBeUndefined();
  });

  test('a failure of ours is an error; a refusal is the answer to a bad request', async () => {
    app.serve((routes) => {
      routes.idempotent('/broken', {}, () => {
        throw new Error('secret words');
      });
      routes.idempotent('/strict', { required: true }, () => ({}));
    });
    await app.post('/broken', app.newKey()).expect(500);
    expect(await sdk.one('POST /broken')).toMatchObject({
      status: SpanStatusCode.ERROR,
      attributes: { 'error.type': '500', 'http.response.status_code': 500 },
    });
    await app.post('/strict', undefined).expect(400);
    expect((await sdk.one('POST /strict')).status).toBe(SpanStatusCode.UNSET);
  });

  test('no key, tenant, id in a path or payload is in anything that is exported', async () => {
    const { pawl } = app;
    const canaries = [
      'canary-key',
      'canary-user',
      'canary-path',
      'canary-query',
      'canary-body',
      'canary-result',
      'canary-event',
      'canary-message',
      'canary-error',
    ];
    const flow = pawl.registerWorkflow(
      async (input: unknown) => {
        await pawl.setEvent('progress', 'canary-event');
        await pawl
          .runStep(() => Promise.reject(new Error(`canary-error ${JSON.stringify(input)}`)), {
            name: 'fails',
          })
          .catch(() => {});
        await pawl.recv('topic');
        return 'canary-result';
      },
      { name: `secretive ${framework.name}` },
    );
    app.serve((routes) => {
      routes.endpoint('/:tenant/orders', flow, { event: 'progress' });
      routes.idempotent('/:tenant/wrapped', {}, () => ({ json: 'canary-result' }));
    });
    const post = (path: string) =>
      app
        .post(`/canary-path/${path}?q=canary-query`, 'canary-key', { secret: 'canary-body' })
        .set({ 'X-User': 'canary-user', traceparent, baggage: 'user=canary-user' });
    const answer = await post('orders').expect(200);
    expect(answer.text).toContain('canary-event');
    await post('wrapped').expect(200);
    const { workflowID } =
      (await pawl.listWorkflows({ name: `secretive ${framework.name}` })).workflows[0] ?? {};
    await pawl.send(workflowID ?? '', 'canary-message', 'topic', { idempotencyKey: 'canary-key' });
    await pawl.retrieveWorkflow(workflowID ?? '').getResult();
    await sdk.one(`run secretive ${framework.name}`);
    await sdk.one('POST /:tenant/wrapped');
    const exported = await sdk.raw();
    expect(exported).toContain('/:tenant/orders');
    for (const canary of canaries) expect(exported).not.toContain(canary);
  });
});
