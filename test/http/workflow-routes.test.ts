// `http.workflows()`, what is read: status, result, one event, steps. On every framework, on both kinds of database.
import { once } from 'node:events';
import { beforeAll, expect, test } from 'vitest';
import { type AppUnderTest, describeOnEach } from './app-under-test.ts';
import { type Answer, ask, portOf } from './plain-client.ts';
import { registerTelling, type Telling } from './telling.ts';

describeOnEach('workflow routes', (app: AppUnderTest) => {
  let tell: Telling;
  beforeAll(() => {
    tell = registerTelling(app);
  });

  /** Everybody but Eve may read. */
  const serve = (): void =>
    app.serve((routes) =>
      routes.workflows('/workflows', { authorize: ({ headers }) => headers['x-user'] !== 'eve' }),
    );
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
    ask(portOf(app.server), `/workflows/${path}`, { method, headers });
  const json = ({ text }: Answer): unknown => JSON.parse(text);
  const own = { 'cache-control': 'private, no-cache', 'content-type': 'application/json; charset=utf-8' };

  test('status: what concerns the client, under a tag', async () => {
    serve();
    const id = await tell.start();
    const first = await get(id);
    expect(first.status).toBe(200);
    expect(Object.keys(json(first) as object).sort()).toEqual(
      ['workflowID', 'name', 'status', 'createdAt', 'updatedAt', 'startedAt', 'completedAt']
        .concat(['queueName', 'recoveryAttempts'])
        .sort(),
    );
    expect(json(first)).toMatchObject({ workflowID: id, status: 'PENDING', completedAt: null });
    expect(first.headers).toMatchObject(own);
    const tag = String(first.headers['etag']);
    expect(tag).toMatch(/^"[\w-]{27}"$/);

    for (const known of [tag, `W/${tag}`, `"other", W/${tag}`, `"a,b" ,${tag}`, `, ${tag}`, '*', ' * ']) {
      const same = await get(id, { 'If-None-Match': known });
      expect([known, same.status, same.text]).toEqual([known, 304, '']);
      expect(same.headers).toMatchObject({ etag: tag, 'cache-control': 'private, no-cache' });
      expect(same.headers).not.toHaveProperty('content-type');
    }
    for (const other of ['"other"', tag.slice(1, -1), `"other, ${tag.slice(1)}`, `x${tag}`, `"a", *`])
      expect([other, (await get(id, { 'If-None-Match': other })).status]).toEqual([other, 200]);

    await tell.finish(id);
    const later = await get(id, { 'If-None-Match': tag });
    expect(later.status).toBe(200);
    expect(json(later)).toMatchObject({ status: 'SUCCESS' });
    expect(later.headers['etag']).not.toBe(tag);
  });

  test('HEAD has the headers of GET and no body', async () => {
    serve();
    const id = await tell.start();
    await tell.finish(id);
    for (const path of [
      id,
      `${id}/result`,
      `${id}/events/progress`,
      `${id}/steps`,
      `${id}/events`,
      'nobody',
    ]) {
      const got = await get(path);
      const { 'transfer-encoding': _, ...headers } = got.headers;
      expect(await get(path, {}, 'HEAD')).toEqual({ status: got.status, headers, text: '' });
    }
    const tag = String((await get(id)).headers['etag']);
    expect((await get(id, { 'If-None-Match': tag }, 'HEAD')).status).toBe(304);
  });

  test('another method is told which ones there are, whether or not the workflow exists', async () => {
    serve();
    const id = await tell.start();
    for (const path of ['', '/result', '/events', '/events/progress', '/steps']) {
      for (const [method, whose] of [
        ['POST', id],
        ['DELETE', id],
        ['PUT', 'nobody'],
        ['PATCH', id],
      ] as const) {
        const refused = await get(whose + path, {}, method);
        expect([path, refused.status, refused.headers['allow']]).toEqual([path, 405, 'GET, HEAD']);
        expect(json(refused)).toMatchObject({ code: 'method-not-allowed', status: 405 });
      }
    }
  });

  test('unknown, somebody else’s and impossible ids look the same', async () => {
    const users: unknown[] = [];
    const answers = new Map<unknown, unknown>([
      ['eve', false],
      ['nobody', undefined],
      ['truthy', 'yes'],
    ]);
    app.serve((routes) =>
      routes.workflows('/workflows', {
        authorize: ({ headers }) => {
          users.push(headers['x-user']);
          return answers.get(headers['x-user']) as boolean;
        },
      }),
    );
    const id = await tell.start();
    const unknown = `${id.slice(0, -1)}x`;
    for (const path of ['', '/result', '/result?wait=20', '/events', '/events/progress', '/steps']) {
      const expected = await get(unknown + path, { 'X-User': 'eve' });
      const { instance } = json(expected) as { instance: string };
      expect(expected).toMatchObject({ status: 404, headers: { 'cache-control': 'no-store' } });
      expect(json(expected)).toMatchObject({ code: 'not-found', instance: expect.stringContaining(unknown) });
      for (const user of ['eve', 'nobody', 'truthy']) {
        const refused = await get(id + path, { 'X-User': user });
        expect({ ...refused, text: refused.text.replace(id, unknown) }).toEqual(expected);
        expect(users.pop()).toBe(user);
      }
      expect(instance).toBe(`/workflows/${unknown}${path.replace(/\?.*/, '')}`);
    }
    expect(users).toEqual([]);
    const strange = [
      '%00',
      'a%00b',
      '%ff',
      '%C3%28',
      '%ED%A0%80',
      'x'.repeat(10_000),
      '..',
      '%2e%2e',
      '%2F',
      "'",
    ];
    for (const path of strange) {
      const refused = await get(path);
      expect([path.slice(0, 20), refused.status]).toEqual([path.slice(0, 20), 404]);
      expect(json(refused)).toMatchObject({ code: 'not-found', instance: `/workflows/${path}` });
    }
    expect(users).toEqual([]);
  });

  test('ids with slashes, spaces, percents and letters of any script are found', async () => {
    serve();
    for (const name of [
      'a/b//c',
      'workflows',
      'result',
      'ä ö/%2F?#&+',
      '"quoted"',
      '订单-1',
      '🐢'.repeat(60),
    ]) {
      const id = `${name} ${app.framework.name}`;
      await tell.start({ id });
      const path = encodeURIComponent(id);
      expect(json(await get(path))).toMatchObject({ workflowID: id });
      expect(json(await get(`${path}/`))).toMatchObject({ workflowID: id });
      const pending = await get(`${path}/result`);
      expect([pending.status, pending.headers['location']]).toEqual([202, `/workflows/${path}`]);
      expect((await get(`${path}/events/progress`)).text).toBe('{"step":1}');
    }
  });

  test('result: 202 while it runs, 200 with its bytes when it has ended, waiting if asked to', async () => {
    serve();
    const id = await tell.start();
    for (const path of ['result', 'result?wait=0', 'result?wait=0.05']) {
      const early = await get(`${id}/${path}`);
      expect(early.status).toBe(202);
      expect(json(early)).toEqual({ workflowID: id, location: `/workflows/${id}` });
      expect(early.headers).toMatchObject({ 'retry-after': '1', 'cache-control': 'no-store' });
    }
    const waiting = get(`${id}/result?wait=20`);
    await tell.finish(id, 'you');
    for (const answer of [await waiting, await get(`${id}/result`), await get(`${id}/result?wait=60`)])
      expect(answer).toEqual({
        status: 200,
        headers: expect.objectContaining(own),
        text: '"heard you"',
      });
  });

  test('result: an error has its own status; its message is shown if the fault is the client’s', async () => {
    serve();
    for (const [fail, status, detail] of [
      [418, 418, 'as asked'],
      [503, 503, 'The workflow ended with an error.'],
      [-1, 500, 'The workflow ended with an error.'],
    ] as const) {
      const id = await tell.start({ fail });
      const waiting = get(`${id}/result?wait=20`);
      await tell.finish(id);
      const { headers, text } = await waiting;
      expect(headers['content-type']).toBe('application/problem+json; charset=utf-8');
      expect(JSON.parse(text)).toEqual({
        ...{ type: 'urn:pawl:problem:workflow-failed', title: 'The workflow failed', status, detail },
        ...{ instance: `/workflows/${id}/result`, code: 'workflow-failed', retryable: false, workflowID: id },
      });
      expect((await get(`${id}/result`)).text).toBe(text);
    }
  });

  test('result: 409 when it was cancelled, also while the client waits', async () => {
    serve();
    const id = await tell.start();
    const waiting = get(`${id}/result?wait=20`);
    await app.pawl.cancelWorkflow(id);
    for (const answer of [await waiting, await get(`${id}/result`)]) {
      expect(answer.status).toBe(409);
      expect(json(answer)).toMatchObject({ code: 'workflow-cancelled', workflowID: id });
    }
  });

  test('a time to wait that is none is refused', async () => {
    serve();
    const id = await tell.start();
    const long = get(`${id}/result?wait=999999999`);
    for (const path of ['result', 'events/later']) {
      for (const wait of [
        '',
        '-1',
        'x',
        '1e3',
        '1s',
        '0x10',
        'Infinity',
        'NaN',
        '1&wait=2',
        '1,2',
        '%31%00',
      ]) {
        const refused = await get(`${id}/${path}?wait=${wait}`);
        expect([wait, refused.status]).toEqual([wait, 400]);
        expect(json(refused)).toMatchObject({ code: 'wait-invalid' });
      }
      expect((await get(`nobody/${path}?wait=x`)).status).toBe(404);
    }
    await tell.finish(id);
    expect((await long).status).toBe(200);
  });

  test('one event: its latest value, 202 until there is one, 404 once there cannot be', async () => {
    serve();
    const id = await tell.start();
    const early = await get(`${id}/events/later`);
    expect([early.status, early.headers['retry-after']]).toEqual([202, '1']);
    const never = get(`${id}/events/later?wait=20`);
    expect(await get(`${id}/events/progress?wait=20`)).toEqual({
      ...{ status: 200, headers: expect.objectContaining(own), text: '{"step":1}' },
    });
    await tell.finish(id);
    expect((await get(`${id}/events/progress`)).text).toBe('{"step":2}');
    for (const answer of [await never, await get(`${id}/events/later`), await get(`${id}/events/%00`)])
      expect(answer).toMatchObject({ status: 404, headers: { 'cache-control': 'no-store' } });
  });

  test('an event that comes while the client waits for it is told at once', async () => {
    serve();
    const name = `late on ${app.framework.name}`;
    const late = app.register('late', async () => {
      await app.pawl.recv('go', 600);
      await app.pawl.setEvent('a/b', undefined);
      await app.pawl.recv('stop', 600);
    });
    await app.pawl.startWorkflow(late, { workflowID: name })();
    const waiting = get(`${encodeURIComponent(name)}/events/${encodeURIComponent('a/b')}?wait=20`);
    await app.pawl.send(name, 1, 'go');
    expect(await waiting).toMatchObject({ status: 200, text: 'null' });
    await app.pawl.send(name, 1, 'stop');
  });

  test('steps: what was done and when, not what came of it; an error only as far as /result shows it', async () => {
    serve();
    const id = await tell.start();
    await tell.finish(id);
    const answer = await get(`${id}/steps`);
    expect(answer).toMatchObject({ status: 200, headers: own });
    const steps = json(answer) as Record<string, unknown>[];
    expect(steps.map(({ stepID, kind, name }) => [stepID, kind, name])).toEqual([
      [0, 'setEvent', 'progress'],
      [1, 'recv', 'word'],
      [2, 'step', 'think'],
      [3, 'setEvent', 'progress'],
    ]);
    for (const step of steps) {
      expect(Object.keys(step)).toEqual([
        'stepID',
        'kind',
        'name',
        'attempts',
        'startedAt',
        'completedAt',
        'childWorkflowID',
        'error',
      ]);
      expect(step['error']).toBeNull();
    }
    expect(answer.text).not.toMatch(/secret|hello/);

    const failing = app.register('failing', async () => {
      await app.pawl
        .runStep(() => Promise.reject(new Error('the password is 1234')), { name: 'a' })
        .catch(() => {});
      const shown = Object.assign(new Error('sold out'), { status: 409, code: 'sold-out' });
      await app.pawl.runStep(() => Promise.reject(shown), { name: 'b' }).catch(() => {});
    });
    const handle = await app.pawl.startWorkflow(failing)();
    await handle.getResult();
    const errors = json(await get(`${handle.workflowID}/steps`)) as { error: unknown }[];
    expect(errors.map(({ error }) => error)).toEqual([
      { code: 'workflow-failed', message: 'The workflow ended with an error.' },
      { code: 'sold-out', message: 'sold out' },
    ]);
  });

  test('a load balancer hears that it is live and ready', async () => {
    app.serve((routes) => routes.health('/health'));
    await once(app.server, 'listening');
    for (const path of ['live', 'ready'])
      expect(await ask(portOf(app.server), `/health/${path}`)).toEqual({
        status: 200,
        headers: expect.objectContaining({ 'cache-control': 'no-store' }),
        text: JSON.stringify({ status: path }),
      });
  });

  test('an error of authorize is the app’s', async () => {
    app.serve((routes) =>
      routes.workflows('/workflows', {
        authorize: () => {
          throw Object.assign(new Error('who are you?'), { status: 401 });
        },
      }),
    );
    const id = await tell.start();
    const refused = await get(id);
    expect([refused.status, json(refused)]).toEqual([401, { error: 'who are you?' }]);
  });

  test('routes without authorize are a mistake that shows when they are made', () => {
    expect(() => app.serve((routes) => routes.workflows('/w', {} as never))).toThrow(/authorize/);
    const messages = { authorize: () => true, messages: true };
    expect(() => app.serve((routes) => routes.workflows('/w', messages), {} as never)).toThrow(/scope/);
  });
});
