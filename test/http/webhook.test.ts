// `http.webhook()`: what the sender of a webhook sees, and what reaches the workflow; row by row, on every framework and
// database.
import { defineTopic, type Workflow } from '@pawl/core';
import { verify, type WebhookOptions } from '@pawl/core/http';
import request from 'supertest';
import { beforeAll, expect, test } from 'vitest';
import { describeOnEach } from './app-under-test.ts';
import type { Parser } from './frameworks.ts';
import { deliver as send, newEventID, SECRET, type Sent, signed } from './webhook-sender.ts';

interface Paid {
  readonly type: string;
  readonly order: string;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

describeOnEach('webhooks', (app) => {
  let wait: Workflow<[], unknown>;
  let react: Workflow<[data: Paid], string>;
  const runs = new Map<string, number>();
  let orders = 0;

  beforeAll(() => {
    wait = app.register('wait-for-payment', () => app.pawl.recv<unknown>('paid', 600));
    react = app.register('react', async (data: Paid) => {
      runs.set(data.order, (runs.get(data.order) ?? 0) + 1);
      return data.order;
    });
  });

  function serve(changes: Partial<WebhookOptions<Paid>> = {}, parser: Parser = 'none'): void {
    const options: WebhookOptions<Paid> = {
      name: `shop-${app.framework.name}`,
      verify: verify.standardWebhooks({ secrets: { current: SECRET } }),
      route: (event) => (event.type === 'ignored' ? null : { workflowID: event.data.order, topic: 'paid' }),
      ...changes,
    };
    app.serve((routes) => routes.webhook('/hooks', options, parser));
  }

  const deliver = (body: unknown, sent?: Sent) => send(app.server, '/hooks', body, sent);
  const newOrder = (): string => `${app.framework.name}-order-${(orders += 1)}`;
  const started = async (workflowID = newOrder()): Promise<string> =>
    (await app.pawl.startWorkflow(wait, { workflowID })()).workflowID;
  const result = (id: string) => app.pawl.retrieveWorkflow(id).getResult();
  const messages = async (id: string): Promise<number> => (await app.pawl.listMessages(id)).length;

  test('202 once the message is durable; the same event again is 200, marked, and no second message', async () => {
    serve();
    const order = await started();
    const id = newEventID();
    const first = await deliver({ type: 'paid', order }, { id }).expect(202, { status: 'accepted' });
    expect(await messages(order)).toBe(1);
    expect(first.headers['content-type']).toBe(JSON_TYPE);
    expect(first.headers['webhook-duplicate']).toBeUndefined();
    const again = await deliver({ type: 'paid', order }, { id }).expect(200, { status: 'duplicate' });
    expect(again.headers['webhook-duplicate']).toBe('true');
    expect(await result(order)).toEqual({ type: 'paid', order });
    await deliver({ type: 'paid', order }, { id }).expect(200, { status: 'duplicate' });
    expect(await messages(order)).toBe(1);
  });

  test('of deliveries at the same moment one is 202, and there is one message', async () => {
    serve();
    const order = await started();
    const id = newEventID();
    const answers = await Promise.all([1, 2, 3, 4].map(async () => deliver({ type: 'paid', order }, { id })));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 200, 202]);
    expect(await result(order)).toEqual({ type: 'paid', order });
    expect(await messages(order)).toBe(1);
  });

  test('the route is told everything about the event, and may make the message', async () => {
    let seen: Record<string, unknown> = {};
    serve({
      route: (event) => {
        seen = { ...event };
        return { workflowID: event.data.order, topic: 'paid', message: event.id };
      },
    });
    const order = await started();
    const [id, time] = [newEventID(), Math.floor(Date.now() / 1000)];
    const body = JSON.stringify({ type: 'paid', order });
    await deliver(body, { id, time, prefix: 'svix', headers: { 'x-more': 'a' } }).expect(202);
    expect(seen).toMatchObject({
      id,
      type: 'paid',
      data: { order },
      timestamp: new Date(time * 1000),
      matchedSecret: 'current',
      headers: { 'content-type': 'application/json', 'x-more': 'a', 'svix-id': id },
    });
    expect(Buffer.from(seen['raw'] as Uint8Array).toString()).toBe(body);
    expect(await result(order)).toBe(id);
  });

  test.each<[string, (body: string) => Record<string, string>]>([
    ['a wrong secret', (body) => signed(body, { secret: 'whsec_b3RoZXI=' })],
    ['another body', () => signed('{}')],
    ['a time 302 s ago', (body) => signed(body, { time: Date.now() / 1000 - 302 })],
    ['a time 302 s ahead', (body) => signed(body, { time: Date.now() / 1000 + 302 })],
    ['no signature', () => ({})],
  ])('%s is 401, without a word of the secret, and nothing happens', async (_, headersOf) => {
    let routed = 0;
    serve({ route: () => ((routed += 1), null) });
    const body = JSON.stringify({ type: 'paid', order: 'x' });
    const refused = await request(app.server)
      .post('/hooks')
      .type('json')
      .set(headersOf(body))
      .send(body)
      .expect(401);
    expect(refused.headers['content-type']).toBe(PROBLEM_TYPE);
    expect(refused.body).toMatchObject({ status: 401, code: 'signature-invalid', instance: '/hooks' });
    expect(refused.text).not.toContain(SECRET.slice(6));
    expect(routed).toBe(0);
  });

  test('or 400, where the sender wants that; and the clock can be another one', async () => {
    const time = Date.UTC(2030, 0, 1) / 1000;
    serve({ failureStatus: 400, now: () => new Date(time * 1000) });
    await deliver({ type: 'ignored' }, { time }).expect(200);
    for (const off of [-300, 300]) await deliver({ type: 'ignored' }, { time: time + off }).expect(200);
    for (const off of [-301, 301])
      expect((await deliver({ type: 'ignored' }, { time: time + off }).expect(400)).body.code).toBe(
        'signature-invalid',
      );
  });

  test('verified but not JSON is 400', async () => {
    serve();
    for (const body of ['{"type":', '', 'paid']) {
      const refused = await deliver(body).expect(400);
      expect([refused.headers['content-type'], refused.body.code]).toEqual([PROBLEM_TYPE, 'body-malformed']);
    }
  });

  test('not as the schema says is 422 with its issues; what it makes of the body is the data', async () => {
    let data: unknown;
    serve({
      schema: {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: (value) =>
            typeof (value as Paid).order === 'string'
              ? { value: { type: 'checked', order: 'o' } }
              : { issues: [{ message: 'no order', path: ['order'] }] },
        },
      },
      route: (event) => ((data = event.data), null),
    });
    const refused = await deliver({ type: 'paid' }).expect(422);
    expect(refused.headers['content-type']).toBe(PROBLEM_TYPE);
    expect(refused.body).toMatchObject({
      code: 'input-invalid',
      issues: [{ message: 'no order', path: ['order'] }],
    });
    expect(data).toBeUndefined();
    await deliver({ order: 'x' }).expect(200);
    expect(data).toEqual({ type: 'checked', order: 'o' });
  });

  test('the schema of the topic, and of the input of what is started, count as well; so does a bad id', async () => {
    const number: WebhookOptions<unknown>['schema'] = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) =>
          typeof value === 'number' ? { value } : { issues: [{ message: 'no number', path: ['n'] }] },
      },
    };
    const strict = app.register('strict', async (n: number) => n, { input: number });
    const [order, id] = [await started(), newEventID()];
    for (const [target, message] of [
      [{ workflowID: order, topic: defineTopic('paid', number), message: 'x' }, 'no number'],
      [{ start: strict, input: 'x' }, 'no number'],
      [{ workflowID: undefined as never, topic: 'paid' }, /workflow ID must be a string/],
    ] as const) {
      serve({ route: () => target });
      const refused = await deliver({ type: 'paid' }, { id }).expect(422);
      expect(refused.body).toMatchObject({ code: 'input-invalid', detail: expect.stringMatching(message) });
    }
    expect(await messages(order)).toBe(0);
    serve({ route: () => ({ workflowID: order, topic: 'paid', message: 1 }) });
    await deliver({ type: 'paid' }, { id }).expect(202);
    expect(await result(order)).toBe(1);
  });

  test('another method is 405 with Allow, and a body over the limit 413, before anybody looks at a signature', async () => {
    serve({ maxBodyBytes: 100 });
    for (const method of ['get', 'put', 'patch', 'delete'] as const) {
      const refused = await request(app.server)[method]('/hooks').expect(405);
      expect([refused.headers['allow'], refused.body.code]).toEqual(['POST', 'method-not-allowed']);
    }
    const large = await deliver({ type: 'ignored', order: 'x'.repeat(100) }).expect(413);
    expect([large.headers['content-type'], large.body.code]).toEqual([PROBLEM_TYPE, 'body-too-large']);
    await deliver(`"${'x'.repeat(98)}"`, { id: 'at-the-limit' }).expect((answer) =>
      expect(answer.status).not.toBe(413),
    );
  });

  test('an event that nobody is interested in is 200, and may be routed when it comes again', async () => {
    let interested = false;
    const order = await started();
    serve({ route: () => (interested ? { workflowID: order, topic: 'paid' } : null) });
    const id = newEventID();
    await deliver({ type: 'x' }, { id }).expect(200, { status: 'ignored' });
    interested = true;
    await deliver({ type: 'x' }, { id }).expect(202, { status: 'accepted' });
    expect(await result(order)).toEqual({ type: 'x' });
  });

  test('onUnknown retry: 404, until the workflow is there', async () => {
    serve();
    const [id, order] = [newEventID(), newOrder()];
    const refused = await deliver({ type: 'paid', order }, { id }).expect(404);
    expect(refused.headers['content-type']).toBe(PROBLEM_TYPE);
    expect(refused.body).toMatchObject({ code: 'unknown-workflow', retryable: true });
    await started(order);
    await deliver({ type: 'paid', order }, { id }).expect(202);
    expect(await result(order)).toEqual({ type: 'paid', order });
  });

  test('onUnknown park: 202, and delivered when the workflow starts; ack: 200, and dropped', async () => {
    serve({ onUnknown: 'park' });
    const [id, order] = [newEventID(), newOrder()];
    await deliver({ type: 'paid', order }, { id }).expect(202);
    const again = await deliver({ type: 'paid', order }, { id }).expect(200);
    expect(again.headers['webhook-duplicate']).toBe('true');
    await started(order);
    expect(await result(order)).toEqual({ type: 'paid', order });
    expect(await messages(order)).toBe(1);

    serve({ onUnknown: 'ack' });
    const nobody = newOrder();
    await deliver({ type: 'paid', order: nobody }).expect(200, { status: 'ignored' });
    expect(await app.sql('SELECT 1 FROM pawl.message WHERE destination = $1', [nobody])).toEqual([]);
  });

  test('a finished workflow is 200, and so is the event again', async () => {
    serve();
    const order = await started();
    await deliver({ type: 'paid', order }).expect(202);
    await result(order);
    const id = newEventID();
    await deliver({ type: 'paid', order }, { id }).expect(200, { status: 'finished' });
    await deliver({ type: 'paid', order }, { id }).expect(200, { status: 'duplicate' });
  });

  test('an event may start a workflow, once: under an id of its own, or one that the route names', async () => {
    serve({
      route: ({ data }) => ({
        start: react,
        input: data,
        ...(data.type === 'x' ? {} : { workflowID: data.type }),
      }),
    });
    for (const type of ['x', newOrder()]) {
      const [id, order] = [newEventID(), newOrder()];
      const answers = await Promise.all([1, 2, 3].map(async () => deliver({ type, order }, { id })));
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 202]);
      const again = await deliver({ type, order }, { id }).expect(200, { status: 'duplicate' });
      expect(again.headers['webhook-duplicate']).toBe('true');
      const [row] = await app.sql('SELECT id FROM pawl.workflow WHERE input LIKE $1', [`%"${order}"%`]);
      if (type !== 'x') expect(row?.['id']).toBe(type);
      expect(await result(row?.['id'] as string)).toBe(order);
      expect(runs.get(order)).toBe(1);
    }
  });

  test('events of two senders may have the same id; without an id the bytes are it', async () => {
    const none = verify.unsafeNone();
    const route = ({ data }: { data: Paid }) => ({ workflowID: data.order, topic: 'paid' });
    const order = await started();
    const post = (path: string, body: object) => request(app.server).post(path).send(body);
    app.serve((routes) => {
      routes.webhook<Paid>('/one', { name: `one-${order}`, verify: none, route });
      routes.webhook<Paid>('/two', { name: `two-${order}`, verify: none, route });
    });
    await post('/one', { id: 'e', order }).expect(202);
    await result(order);
    await post('/two', { id: 'e', order }).expect(200, { status: 'finished' });
    await post('/one', { id: 'e', order, more: 1 }).expect(200, { status: 'duplicate' });
    for (const id of [undefined, '']) {
      await post('/one', { id, order, n: id === '' ? 1 : 2 }).expect(200, { status: 'finished' });
      await post('/one', { id, order, n: id === '' ? 1 : 2 }).expect(200, { status: 'duplicate' });
    }
    expect(await messages(order)).toBe(4);
  });

  test('what route throws goes the way of the app, nothing was taken, and the next try is as the first', async () => {
    let broken = true;
    const order = await started();
    serve({
      route: () => {
        if (broken) throw Object.assign(new Error('the orders are away'), { status: 502 });
        return { workflowID: order, topic: 'paid' };
      },
    });
    const id = newEventID();
    // The app's own error middleware answers so.
    await deliver({ type: 'paid' }, { id }).expect(502, { error: 'the orders are away' });
    broken = false;
    await deliver({ type: 'paid' }, { id }).expect(202);
    expect(await result(order)).toEqual({ type: 'paid' });
  });

  test('a workflow that the route did not name hears nothing', async () => {
    serve();
    const [one, other] = [await started(), await started()];
    await deliver({ type: 'paid', order: one }).expect(202);
    expect(await result(one)).toEqual({ type: 'paid', order: one });
    expect(await messages(other)).toBe(0);
    expect((await app.pawl.getWorkflowStatus(other))?.status).toBe('PENDING');
    await app.pawl.cancelWorkflow(other);
  });

  test('a route that cannot work is a mistake that shows when it is made', () => {
    expect(() => serve({ verify: undefined as never })).toThrow(/verify/);
    expect(() => serve({ name: '' })).toThrow(/name/);
    expect(() => serve({ route: undefined as never })).toThrow(/route/);
    for (const onUnknown of ['drop' as never])
      expect(() => serve({ onUnknown })).toThrow(/'retry', 'park' or 'ack'/);
    expect(() => serve({ failureStatus: 410 as never })).toThrow(/400 or 401/);
  });
});
