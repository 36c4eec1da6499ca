// `http.hooks()`: the capability URLs that workflows make with `createHook`, on every framework and database.
import { HookRejectedError, type Workflow } from '@pawl/core';
import request from 'supertest';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { describeOnEach } from './app-under-test.ts';

type Answer = { got: unknown } | { rejected: unknown; workflowID: string | undefined };

describeOnEach('hooks', (app) => {
  let ask: Workflow<[ttl?: string], Answer>;
  let ids = 0;

  beforeAll(() => {
    const { pawl } = app;
    ask = app.register('ask', async (ttl?: string): Promise<Answer> => {
      const hook = await pawl.createHook('approval', ttl === undefined ? {} : { ttl: ttl as '1s' });
      await pawl.setEvent('hook', hook);
      try {
        return { got: await pawl.recv<unknown>('approval', 600) };
      } catch (error) {
        if (!(error instanceof HookRejectedError)) throw error;
        return { rejected: error.reason, workflowID: pawl.workflowID };
      }
    });
  });
  beforeEach(() => app.serve((routes) => routes.hooks('/hooks')));

  async function asked(ttl?: string): Promise<{ id: string; url: string; token: string }> {
    const workflowID = `${app.framework.name}-ask-${(ids += 1)}`;
    await app.pawl.startWorkflow(ask, { workflowID })(...(ttl === undefined ? [] : [ttl]));
    const hook = await app.pawl.getEvent<{ url: string; token: string }>(workflowID, 'hook');
    return { id: workflowID, ...(hook as { url: string; token: string }) };
  }
  const result = (id: string) => app.pawl.retrieveWorkflow<Answer>(id).getResult();
  const post = (path: string) => request(app.server).post(path);

  test('a POST resolves: the waiting recv gets the body, and the answer is JSON that nobody keeps', async () => {
    const { id, url, token } = await asked();
    expect(token).toMatch(/^[\w-]{22}$/);
    expect(url).toBe(`/hooks/${token}`);
    const answer = await post(url).send({ by: 'ada', amount: 3 }).expect(202, { status: 'resolved' });
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.headers['idempotent-replayed']).toBeUndefined();
    expect(await result(id)).toEqual({ got: { by: 'ada', amount: 3 } });
  });

  test('a POST to /reject makes the recv reject with HookRejectedError, which has the body as its reason', async () => {
    const { id, url } = await asked();
    await post(`${url}/reject`).send({ why: 'too expensive' }).expect(202, { status: 'rejected' });
    expect(await result(id)).toEqual({ rejected: { why: 'too expensive' }, workflowID: id });
    const steps = await app.pawl.listWorkflowSteps(id);
    const errors = steps.filter(({ kind }) => kind === 'recv').map(({ error }) => error);
    expect(errors).toEqual([expect.any(HookRejectedError)]);
    expect(errors[0]).toMatchObject({ topic: 'approval', message: expect.stringContaining(id) });
  });

  test.each<[string, string, string, unknown]>([
    ['application/json', '[1]', 'JSON', [1]],
    ['application/x-www-form-urlencoded', 'ok=yes&by=ada', 'a form', { ok: 'yes', by: 'ada' }],
    ['text/plain', 'yes', 'text', 'yes'],
    ['text/plain', '', 'nothing', undefined],
  ])('%s: the body %j is %s', async (type, body, _, got) => {
    const { id, url } = await asked();
    await post(url).type(type).send(body).expect(202);
    expect(await result(id)).toEqual({ got });
  });

  test('a body that cannot be read is 400 or 415, and does not use the hook up', async () => {
    const { id, url } = await asked();
    const malformed = await post(url).type('json').send('{"a":').expect(400);
    expect(malformed.body).toMatchObject({ code: 'body-malformed', instance: '/hooks' });
    await post(url).type('application/xml').send('<a/>').expect(415);
    await post(url)
      .type('text/plain')
      .send('x'.repeat(1024 * 1024 + 1))
      .expect(413);
    await post(url).send({}).expect(202);
    expect(await result(id)).toEqual({ got: {} });
  });

  test('the first answer wins: the same once more is answered the same, another one is 409', async () => {
    const { id, url } = await asked();
    const first = await post(url).send({ yes: 1 }).expect(202);
    expect(await result(id)).toEqual({ got: { yes: 1 } });
    const again = await post(url).send({ yes: 1 }).expect(202);
    expect(again.text).toBe(first.text);
    expect(again.headers['idempotent-replayed']).toBe('true');
    for (const other of [post(url).send({ yes: 2 }), post(`${url}/reject`).send({ yes: 1 })]) {
      const taken = await other.expect(409);
      expect(taken.headers['content-type']).toMatch('application/problem+json');
      expect(taken.body).toMatchObject({ code: 'hook-answered', detail: expect.stringMatching(/resolved/) });
    }
    expect(await app.pawl.listMessages(id)).toHaveLength(1);
  });

  test('of ten different answers at the same moment one is taken', async () => {
    const { id, url } = await asked();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => post(n % 2 === 0 ? url : `${url}/reject`).send({ n })),
    );
    const won = answers.findIndex(({ status }) => status === 202);
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      202,
      ...Array.from({ length: 9 }, () => 409),
    ]);
    const expected = won % 2 === 0 ? { got: { n: won } } : { rejected: { n: won }, workflowID: id };
    expect(await result(id)).toEqual(expected);
    expect(await app.pawl.listMessages(id)).toHaveLength(1);
  });

  test('unknown, expired, and of a workflow that has ended or is gone, look the same: 404', async () => {
    const expired = await asked('1ms');
    const cancelled = await asked();
    await app.pawl.cancelWorkflow(cancelled.id);
    const deleted = await asked();
    await app.pawl.deleteWorkflow(deleted.id);
    const unknown = '/hooks/AAAAAAAAAAAAAAAAAAAAAA';
    const bytes = new Set<string>();
    for (const url of [
      unknown,
      expired.url,
      cancelled.url,
      deleted.url,
      '/hooks/x',
      '/hooks/%00',
      '/hooks/%f',
    ])
      for (const path of [url, `${url}/reject`]) {
        const answer = await post(path).send({});
        expect([path, answer.status]).toEqual([path, 404]);
        if (!url.includes('%')) bytes.add(JSON.stringify([{ ...answer.headers, date: '' }, answer.text]));
      }
    expect([...bytes]).toHaveLength(1);
    expect(await app.pawl.listMessages(expired.id)).toEqual([]);
    await app.pawl.cancelWorkflow(expired.id);
  });

  test('a link that a mail program looks at changes nothing: GET is 405, whatever the token', async () => {
    const { id, url } = await asked();
    for (const path of [url, `${url}/reject`, '/hooks/unknown'])
      for (const method of ['get', 'head', 'put', 'delete'] as const) {
        const refused = await request(app.server)[method](path).expect(405);
        expect(refused.headers['allow']).toBe('POST');
      }
    expect(await app.pawl.listMessages(id)).toEqual([]);
    await post(url).send({}).expect(202);
    await result(id);
  });

  test('the token is nowhere but in the URL: not in problems, listed steps, or the table of hooks', async () => {
    const { id, url, token } = await asked();
    const seen = [
      (await request(app.server).get(url)).text,
      (await post(`/hooks/${token}x`).send({})).text,
      (await post(url).type('json').send('{')).text,
      (await post(url).send({}).expect(202)).text,
      (await post(url).send([]).expect(409)).text,
      JSON.stringify((await app.pawl.listWorkflowSteps(id)).filter(({ kind }) => kind === 'createHook')),
      JSON.stringify(await app.sql('SELECT * FROM pawl.hook WHERE workflow_id = $1', [id])),
      JSON.stringify(await app.sql('SELECT * FROM pawl.message WHERE destination = $1', [id])),
    ];
    for (const text of seen) expect(text).not.toContain(token);
    expect(seen[5]).toContain('"name":"approval"');
    await result(id);
  });

  test('an answer reaches the workflow that made the hook, and no other', async () => {
    const [one, other] = [await asked(), await asked()];
    await post(one.url).send({ one: 1 }).expect(202);
    expect(await result(one.id)).toEqual({ got: { one: 1 } });
    expect(await app.pawl.listMessages(other.id)).toEqual([]);
    await post(other.url).send({ other: 1 }).expect(202);
    expect(await result(other.id)).toEqual({ got: { other: 1 } });
  });

  test('an app that was told where it is reached gives whole URLs', async () => {
    app.serve((routes) => routes.hooks('/answer'), {
      scope: 'global',
      hooksPath: '/answer/',
      baseURL: 'https://shop.example/',
    });
    const { id, url, token } = await asked();
    expect(url).toBe(`https://shop.example/answer/${token}`);
    const refused = await request(app.server).get(`/answer/${token}`).expect(405);
    expect(refused.body.instance).toBe('/answer');
    await post(`/answer/${token}`).send({}).expect(202);
    await result(id);
    expect(() => app.serve(() => undefined, { scope: 'global', baseURL: 'shop.example' })).toThrow(
      /https:\/\/shop\.example/,
    );
    app.serve(() => undefined, { scope: 'global', hooksPath: '/hooks' });
    const next = await asked();
    expect(next.url).toBe(`/hooks/${next.token}`);
    await app.pawl.cancelWorkflow(next.id);
  });
});
