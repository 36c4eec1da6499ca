// `http.webhook()`: what the sender of a webhook sees, and what reaches the workflow. For Express and Koa.
import { createHmac } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Workflow } from '@pawl/core';
import { verify, type WebhookOptions } from '@pawl/core/http';
import request from 'supertest';
import { beforeAll, describe, expect, test } from 'vitest';
import { appUnderTest } from './app-under-test.ts';
import { frameworks, type Parser } from './frameworks.ts';

const SECRET = `whsec_${Buffer.from('0123456789abcdef01234567').toString('base64')}`;

interface Paid {
  readonly type: string;
  readonly order: string;
}

describe.each(frameworks)('webhook on $name', (framework) => {
  const app = appUnderTest(framework);
  let wait: Workflow<[], unknown[]>;
  let ids = 0;
  const newID = (): string => `${framework.name}-${(ids += 1)}`;

  beforeAll(() => {
    const { pawl } = app;
    wait = pawl.registerWorkflow(
      async () => {
        const first = await pawl.recv<unknown>('paid', 600);
        const second = await pawl.recv<unknown>('paid', 0.3);
        return [first, second];
      },
      { name: 'wait-for-payment' },
    );
  });

  function serve(changes: Partial<WebhookOptions<Paid>> = {}, parser: Parser = 'none'): void {
    const options: WebhookOptions<Paid> = {
      name: 'shop',
      verify: verify.standardWebhooks({ secrets: { current: SECRET } }),
      route: (event) => (event.type === 'ignored' ? null : { workflowID: event.data.order, topic: 'paid' }),
      ...changes,
    };
    app.serve((routes) => routes.webhook('/hooks', options, parser));
  }

  function deliver(
    body: unknown,
    { id = newID(), time = Date.now() / 1000, secret = SECRET, prefix = 'webhook' } = {},
  ) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const seconds = String(Math.floor(time));
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
    const signature = createHmac('sha256', key).update(`${id}.${seconds}.${text}`).digest('base64');
    return request(app.server)
      .post('/hooks')
      .set({
        [`${prefix}-id`]: id,
        [`${prefix}-timestamp`]: seconds,
        [`${prefix}-signature`]: `v1,${signature}`,
      })
      .type('json')
      .send(text);
  }

  const started = async (): Promise<string> => (await app.pawl.startWorkflow(wait)()).workflowID;

  test('202 once the message is durable, 200 for the same event again, and one message', async () => {
    serve();
    const order = await started();
    const id = newID();
    await deliver({ type: 'paid', order }, { id }).expect(202);
    const again = await deliver({ type: 'paid', order }, { id }).expect(200);
    expect(again.headers['webhook-duplicate']).toBe('true');
    expect(await app.pawl.retrieveWorkflow(order).getResult()).toEqual([{ type: 'paid', order }, null]);
  });

  test('of deliveries at the same moment one is 202', async () => {
    serve();
    const order = await started();
    const id = newID();
    const answers = await Promise.all([1, 2, 3].map(() => deliver({ type: 'paid', order }, { id })));
    expect(answers.map((answer) => answer.status).toSorted((a, b) => a - b)).toEqual([200, 200, 202]);
    expect(await app.pawl.retrieveWorkflow(order).getResult()).toEqual([{ type: 'paid', order }, null]);
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
    await deliver({ type: 'paid', order }, { id: `evt-${order}`, prefix: 'svix' }).expect(202);
    expect(seen).toMatchObject({
      id: `evt-${order}`,
      type: 'paid',
      data: { order },
      matchedSecret: 'current',
    });
    expect(seen['timestamp']).toBeInstanceOf(Date);
    expect((seen['headers'] as Record<string, string>)['content-type']).toMatch('json');
    expect(await app.pawl.retrieveWorkflow(order).getResult()).toEqual([`evt-${order}`, null]);
  });

  test.each<[string, () => request.Test]>([
    ['a wrong secret', () => deliver({}, { secret: `whsec_${Buffer.from('other').toString('base64')}` })],
    ['an old one', () => deliver({}, { time: Date.now() / 1000 - 302 })],
    ['one from the future', () => deliver({}, { time: Date.now() / 1000 + 302 })],
    ['none', () => request(app.server).post('/hooks').send({})],
  ])('a signature that does not do: %s is 401', async (_, send) => {
    serve();
    const refused = await send().expect(401);
    expect(refused.body.code).toBe('signature-invalid');
  });

  test('or 400, where the sender wants that', async () => {
    serve({ failureStatus: 400 });
    await request(app.server).post('/hooks').send({}).expect(400);
  });

  test('verified but not JSON is 400, not as the schema says 422, another method 405, too large 413', async () => {
    serve({
      maxBodyBytes: 1000,
      schema: {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: (value) =>
            typeof (value as Paid).order === 'string'
              ? { value: value as Paid }
              : { issues: [{ message: 'no order' }] },
        },
      },
    });
    await deliver('{"type":').expect(400);
    expect((await deliver({ type: 'paid' }).expect(422)).body.issues).toEqual([{ message: 'no order' }]);
    expect((await request(app.server).get('/hooks').expect(405)).headers['allow']).toBe('POST');
    await deliver({ order: 'x'.repeat(2000) }).expect(413);
  });

  test('an event that nobody is interested in is 200', async () => {
    serve();
    await deliver({ type: 'ignored' }).expect(200);
  });

  test('an unknown workflow is 404 and tried again later; parked it is 202; acknowledged 200', async () => {
    const id = newID();
    const order = `order-${id}`;
    serve();
    await deliver({ type: 'paid', order }, { id }).expect(404);
    await app.pawl.startWorkflow(wait, { workflowID: order })();
    await deliver({ type: 'paid', order }, { id }).expect(202);
    expect(await app.pawl.retrieveWorkflow(order).getResult()).toEqual([{ type: 'paid', order }, null]);

    serve({ onUnknown: 'park' });
    const later = `later-${id}`;
    await deliver({ type: 'paid', order: later }).expect(202);
    await app.pawl.startWorkflow(wait, { workflowID: later })();
    expect(await app.pawl.retrieveWorkflow(later).getResult()).toEqual([
      { type: 'paid', order: later },
      null,
    ]);

    serve({ onUnknown: 'ack' });
    await deliver({ type: 'paid', order: 'nobody' }).expect(200);
  });

  test('a finished workflow is 200', async () => {
    serve();
    const order = await started();
    await deliver({ type: 'paid', order }).expect(202);
    await app.pawl.retrieveWorkflow(order).getResult();
    await deliver({ type: 'paid', order }).expect(200);
  });

  test('an event may start a workflow, once', async () => {
    let runs = 0;
    const react = app.pawl.registerWorkflow(async (data: Paid) => ((runs += 1), data.order), {
      name: 'react',
    });
    serve({ route: (event) => ({ start: react, input: event.data }) });
    const id = newID();
    await deliver({ type: 'x', order: 'o' }, { id }).expect(202);
    await deliver({ type: 'x', order: 'o' }, { id }).expect(200);
    await pause(100);
    expect(runs).toBe(1);
  });

  test('behind a parser that threw the bytes away it says so, and does not blame the signature', async () => {
    serve({}, 'before');
    const order = await started();
    const response = await deliver({ type: 'paid', order });
    if (framework.family === 'koa') {
      // @koa/bodyparser keeps the text.
      expect(response.status).toBe(202);
    } else {
      expect(response.status).toBe(500);
      expect(response.body.detail).toMatch(/express\.json/);
    }
  });

  test('in front of a parser it leaves the parser its work', async () => {
    serve({}, 'behind');
    await deliver({ type: 'ignored' }).expect(200);
  });

  test('a route without secrets or checks is a mistake that shows when it is made', () => {
    expect(() => serve({ verify: undefined as never })).toThrow(/verify/);
    expect(() => serve({ name: '' })).toThrow(/name/);
  });
});
