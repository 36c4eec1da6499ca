// `http.workflows()` and `http.health()`: what a client may know of its workflow. For Express and Koa.
import { get as httpGet, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Pawl, type Workflow } from '@pawl/core';
import request from 'supertest';
import { beforeAll, describe, expect, test } from 'vitest';
import { appUnderTest } from './app-under-test.ts';
import { frameworks } from './frameworks.ts';

interface Stream {
  readonly response: IncomingMessage;
  text(): string;
  until(part: string): Promise<void>;
  readonly ended: Promise<void>;
}

describe.each(frameworks)('workflow routes on $name', (framework) => {
  const app = appUnderTest(framework);
  let tell: Workflow<[fail?: number], string>;

  beforeAll(() => {
    const { pawl } = app;
    tell = pawl.registerWorkflow(
      async (fail = 0) => {
        await pawl.setEvent('progress', { step: 1 });
        const word = await pawl.recv<string>('word', 600);
        await pawl.setEvent('progress', { step: 2 });
        if (fail > 0) throw Object.assign(new Error('as asked'), { status: fail });
        return `heard ${word}`;
      },
      { name: 'tell' },
    );
  });

  const serve = (options: { messages?: boolean; cancel?: boolean; resume?: boolean } = {}): void =>
    app.serve((routes) => {
      routes.workflows('/workflows', { authorize: ({ headers }) => headers['x-user'] !== 'eve', ...options });
      routes.health('/health');
    });
  const started = async (fail?: number): Promise<string> =>
    (await app.pawl.startWorkflow(tell)(fail)).workflowID;

  function stream(path: string, headers: Record<string, string> = {}): Promise<Stream> {
    return new Promise((resolve, reject) => {
      const { port } = app.server.address() as AddressInfo;
      httpGet({ port, host: '127.0.0.1', path, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        const ended = new Promise<void>((done) => response.on('close', done));
        const until = async (part: string): Promise<void> => {
          for (let tries = 0; !text.includes(part); tries += 1) {
            if (tries > 200) throw new Error(`waited for ${part} in ${text}`);
            await pause(20);
          }
        };
        resolve({ response, text: () => text, until, ended });
      }).on('error', reject);
    });
  }

  test('status, with a tag that saves the second look', async () => {
    serve();
    const id = await started();
    await app.pawl.getEvent(id, 'progress', 5);
    const first = await app.get(`/workflows/${id}`).expect(200);
    expect(first.body).toMatchObject({ workflowID: id, name: 'tell', status: 'PENDING' });
    expect(first.body).not.toHaveProperty('input');
    const tag = String(first.headers['etag']);
    await app.get(`/workflows/${id}`).set('If-None-Match', tag).expect(304);
    await app.pawl.send(id, 'hello', 'word');
    await app.pawl.retrieveWorkflow(id).getResult();
    await app.get(`/workflows/${id}`).set('If-None-Match', tag).expect(200);
  });

  test('unknown and forbidden look the same', async () => {
    serve();
    const id = await started();
    const unknown = await app.get('/workflows/nobody').expect(404);
    const forbidden = await app.get(`/workflows/${id}`).set('X-User', 'eve').expect(404);
    expect({ ...forbidden.body, instance: '' }).toEqual({ ...unknown.body, instance: '' });
    for (const path of ['result', 'events', 'events/progress', 'steps']) {
      await app.get(`/workflows/${id}/${path}`).set('X-User', 'eve').expect(404);
    }
    await app.get('/workflows/%00').expect(404);
  });

  test('result: 202 while it runs, 200 when it has ended, waiting if asked to', async () => {
    serve();
    const id = await started();
    const early = await app.get(`/workflows/${id}/result`).expect(202);
    expect(early.headers['retry-after']).toBeDefined();
    const waiting = app.get(`/workflows/${id}/result?wait=20`).then((response) => response);
    await pause(100);
    await app.pawl.send(id, 'hello', 'word');
    expect((await waiting).body).toBe('heard hello');
    expect((await app.get(`/workflows/${id}/result`).expect(200)).body).toBe('heard hello');
  });

  test('result: the status of the error, 409 when cancelled', async () => {
    serve();
    const id = await started(418);
    await app.pawl.send(id, 'x', 'word');
    expect((await app.get(`/workflows/${id}/result?wait=20`).expect(418)).body).toMatchObject({
      detail: 'as asked',
      workflowID: id,
    });
    await app.get(`/workflows/${id}/result`).expect(418);
    const other = await started();
    await app.pawl.cancelWorkflow(other);
    expect((await app.get(`/workflows/${other}/result`).expect(409)).body.code).toBe('workflow-cancelled');
  });

  test('one event: its value, waiting if asked to; 404 once it can no longer come', async () => {
    serve();
    const id = await started();
    expect((await app.get(`/workflows/${id}/events/progress?wait=10`).expect(200)).body).toEqual({ step: 1 });
    await app.get(`/workflows/${id}/events/other`).expect(202);
    await app.pawl.send(id, 'x', 'word');
    await app.pawl.retrieveWorkflow(id).getResult();
    expect((await app.get(`/workflows/${id}/events/progress`).expect(200)).body).toEqual({ step: 2 });
    await app.get(`/workflows/${id}/events/other`).expect(404);
  });

  test('steps', async () => {
    serve();
    const id = await started();
    await app.pawl.send(id, 'x', 'word');
    await app.pawl.retrieveWorkflow(id).getResult();
    const steps = (await app.get(`/workflows/${id}/steps`).expect(200)).body as {
      stepID: number;
      kind: string;
    }[];
    expect(steps.map((step) => step.kind)).toEqual(['setEvent', 'recv', 'setEvent']);
  });

  test('the event stream brings what was set and what is being set, under ids, then end', async () => {
    serve();
    const id = await started();
    const events = await stream(`/workflows/${id}/events`);
    expect(events.response.headers['content-type']).toMatch('text/event-stream');
    await events.until('{"step":1}');
    await app.pawl.send(id, 'x', 'word');
    await events.ended;
    expect(events.text()).toMatch(
      /id: \d+\nevent: progress\ndata: {"step":1}\n\nid: \d+\nevent: progress\ndata: {"step":2}\n\n/,
    );
    expect(events.text()).toMatch(/event: end\ndata: {"status":"SUCCESS"}\n\n$/);

    const firstID = /id: (\d+)/.exec(events.text())?.[1] as string;
    const resumed = await stream(`/workflows/${id}/events`, { 'Last-Event-ID': firstID });
    await resumed.ended;
    expect(resumed.text()).not.toContain('"step":1');
    expect(resumed.text()).toContain('"step":2');
  });

  test('a stream that the client closes leaves nothing behind', async () => {
    serve();
    const id = await started();
    const events = await stream(`/workflows/${id}/events`);
    await events.until('"step":1');
    events.response.destroy();
    await events.ended;
    await pause(100);
    expect(await new Promise((resolve) => app.server.getConnections((_, count) => resolve(count)))).toBe(0);
    await app.get(`/workflows/${id}`).expect(200);
  });

  test('what changes something is there only when it was asked for', async () => {
    serve();
    const id = await started();
    for (const path of ['messages/word', 'cancel', 'resume']) {
      expect((await request(app.server).post(`/workflows/${id}/${path}`).send({})).status).toBe(404);
    }
    expect((await request(app.server).post(`/workflows/${id}`).send({}).expect(405)).headers['allow']).toBe(
      'GET, HEAD',
    );
  });

  test('a message, once per key; 409 when it comes too late', async () => {
    serve({ messages: true });
    const id = await started();
    const message = (key: string, text: string) =>
      request(app.server)
        .post(`/workflows/${id}/messages/word`)
        .set('Idempotency-Key', key)
        .type('json')
        .send(JSON.stringify(text));
    await message('k1', 'hello').expect(202);
    await message('"k1"', 'hello').expect((response) => expect([202, 409]).toContain(response.status));
    expect(await app.pawl.retrieveWorkflow(id).getResult()).toBe('heard hello');
    expect((await app.pawl.listMessages(id)).length).toBe(1);
    expect((await message('k2', 'more').expect(409)).body.code).toBe('workflow-finished');
    await message('a,b', 'x').expect(400);
    await request(app.server)
      .post(`/workflows/${id}/messages/word`)
      .set('X-User', 'eve')
      .send({})
      .expect(404);
  });

  test('cancel and resume', async () => {
    serve({ cancel: true, resume: true });
    const id = await started();
    expect((await request(app.server).post(`/workflows/${id}/cancel`).expect(200)).body.status).toBe(
      'CANCELLED',
    );
    await request(app.server).post(`/workflows/${id}/resume`).expect(200);
    await app.pawl.send(id, 'again', 'word');
    expect(await app.pawl.retrieveWorkflow(id).getResult()).toBe('heard again');
  });

  test('routes without authorize are a mistake that shows when they are made', () => {
    expect(() => app.serve((routes) => routes.workflows('/w', {} as never))).toThrow(/authorize/);
  });

  test('live while the process is, ready while the instance is', async () => {
    serve();
    await app.get('/health/live').expect(200);
    await app.get('/health/ready').expect(200);
    const idle = new Pawl({ database: 'postgres://127.0.0.1:1/none' });
    const server = framework
      .serve(idle, { scope: 'global' }, (routes) => routes.health('/health'))
      .listen(0, '127.0.0.1');
    await request(server).get('/health/live').expect(200);
    expect((await request(server).get('/health/ready').expect(503)).body.reason).toBe('idle');
    server.close();
  });
});
