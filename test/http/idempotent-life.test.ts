// `http.idempotent()`: workflows, bodies, streams, clients that go and processes that die. For Express and Koa.
import { setTimeout as pause } from 'node:timers/promises';
import type { Pawl } from '@pawl/core';
import request from 'supertest';
import { beforeEach, expect, test } from 'vitest';
import { describeOnEach, gate } from './app-under-test.ts';
import type { Answered, App, Asked } from './frameworks.ts';

let names = 0;

/** A workflow that counts how often it really runs. */
function counted(pawl: Pawl) {
  let runs = 0;
  const workflow = pawl.registerWorkflow(async (value: string) => ((runs += 1), value), {
    name: `counted-${(names += 1)}`,
  });
  return { workflow, count: () => runs };
}

describeOnEach('idempotent, in the long run', (app) => {
  let runs = 0;
  beforeEach(() => {
    runs = 0;
  });

  /** One route at /things that counts its runs. */
  function handle(
    handler: (asked: Asked) => Answered | Promise<Answered>,
    options: Parameters<App['idempotent']>[1] = {},
  ): void {
    app.serve((routes) => {
      routes.idempotent('/things', options, (asked) => {
        runs += 1;
        return handler(asked);
      });
    });
  }

  const newKey = app.newKey;
  const post = (key: string, body: object = { a: 1 }, path = '/things') => app.post(path, key, body);

  test('workflows that the handler starts have derived ids, so that the next attempt finds the same ones', async () => {
    const { count, workflow } = counted(app.pawl);
    handle(async () => {
      const handles = [
        await app.pawl.startWorkflow(workflow)('a'),
        await app.pawl.startWorkflow(workflow)('b'),
      ];
      await Promise.all(handles.map((each) => each.getResult()));
      const named = await app.pawl.startWorkflow(workflow, { workflowID: `named-${app.framework.name}` })(
        'c',
      );
      return { status: runs === 1 ? 500 : 201, json: [...handles, named].map((each) => each.workflowID) };
    });
    const key = newKey();
    const first = await post(key).expect(500);
    const second = await post(key).expect(201);
    expect(second.body).toEqual(first.body);
    expect(new Set(second.body).size).toBe(3);
    expect(second.body[1]).toBe(`${second.body[0]}-1`);
    expect(count()).toBe(3);
    await post(newKey()).expect(201);
    expect(count()).toBe(5);
  });

  test.each(['before', 'behind', 'none'] as const)(
    'a body parser %s the middleware works',
    async (parser) => {
      app.serve((routes) =>
        routes.idempotent('/things', {}, ({ body }) => ((runs += 1), { json: { body } }), parser),
      );
      const key = newKey();
      expect((await post(key, { deep: [1, { x: 'é' }] })).body).toEqual({ body: { deep: [1, { x: 'é' }] } });
      expect((await post(key, { deep: [1, { x: 'é' }] })).headers['idempotent-replayed']).toBe('true');
      await post(key, { deep: [] }).expect(422);
      if (parser === 'none') return;
      const text = await request(app.server)
        .post('/things')
        .set('Idempotency-Key', newKey())
        .type('text/plain')
        .send('x'.repeat(90_000));
      expect(text.body.body.length).toBe(90_000);
    },
  );

  test('a large response goes out whole; a retry is told, and does not run', async () => {
    handle(() => ({ text: 'x'.repeat(300 * 1024) }));
    const key = newKey();
    const first = await post(key).expect(200);
    expect(first.headers['idempotency-stored']).toBe('false');
    expect(first.text.length).toBe(300 * 1024);
    const again = await post(key).expect(409);
    expect(again.body.code).toBe('response-unavailable');
    expect(runs).toBe(1);
  });

  test('a streamed response arrives live; a retry is told, and does not run', async () => {
    handle(({ outgoing }) => {
      outgoing.writeHead(200, { 'Content-Type': 'text/event-stream' });
      outgoing.write('data: 1\n\n');
      setTimeout(() => outgoing.end('data: 2\n\n'), 30);
      return { raw: true };
    });
    const key = newKey();
    const first = await post(key).buffer(true).expect(200);
    expect(first.headers['idempotency-stored']).toBe('false');
    expect(first.text).toBe('data: 1\n\ndata: 2\n\n');
    expect((await post(key).expect(409)).body.code).toBe('response-unavailable');
    expect(runs).toBe(1);
  });

  test('after its retention a key is new, and so are its workflows', async () => {
    const { workflow } = counted(app.pawl);
    handle(
      async ({ idempotency }) => ({
        json: { run: runs, id: (await app.pawl.startWorkflow(workflow)('a')).workflowID, idempotency },
      }),
      {
        retention: 50,
      },
    );
    const key = newKey();
    const first = await post(key);
    await pause(80);
    const second = await post(key, { other: 'request' });
    expect(second.body).toMatchObject({ run: 2, idempotency: { attempt: 1 } });
    expect(second.body.id).not.toBe(first.body.id);
  });

  test('a key whose process has died is taken over after its lease, and the late one is refused', async () => {
    const hold = gate();
    handle(
      async () => {
        if (runs === 1) await hold.opened;
        return { status: 201, json: { run: runs } };
      },
      { lease: 30_000 },
    );
    const key = newKey();
    const first = post(key).then((response) => response);
    await expect.poll(() => runs).toBe(1);
    await post(key).expect(409);
    await app.sql(
      `UPDATE pawl.http_request SET lease_until = now() - interval '1 second' WHERE state = 'running'`,
    );
    const second = await post(key).expect(201);
    hold.open();
    const late = await first;
    expect(late.headers['idempotency-stored']).toBe('false');
    const third = await post(key).expect(201);
    expect(third.text).toBe(second.text);
  });
});
