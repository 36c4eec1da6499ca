// `http.workflows()`, what is opt-in because it changes something: messages, cancel, resume. On every framework.
import { beforeAll, expect, test } from 'vitest';
import { type AppUnderTest, describeOnEach } from './app-under-test.ts';
import { type Answer, ask, portOf } from './plain-client.ts';
import { registerTelling, type Telling } from './telling.ts';

describeOnEach('workflow routes that change something', (app: AppUnderTest) => {
  let tell: Telling;
  beforeAll(() => {
    tell = registerTelling(app);
  });

  const authorize = (req: { headers: Record<string, unknown> }): boolean => req.headers['x-user'] !== 'eve';
  const serve = (options: { messages?: boolean; cancel?: boolean; resume?: boolean }): void =>
    app.serve((routes) => routes.workflows('/workflows', { authorize, ...options }));
  const post = (path: string, headers: Record<string, string> = {}, body = ''): Promise<Answer> =>
    ask(portOf(app.server), `/workflows/${path}`, { method: 'POST', headers, body });
  const send = (id: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    post(`${id}/messages/word`, { 'Content-Type': 'application/json', ...headers }, JSON.stringify(body));
  const code = ({ text }: Answer): unknown => (JSON.parse(text) as { code?: string }).code;
  const messages = async (id: string): Promise<unknown[]> =>
    (await app.pawl.listMessages(id)).map(({ message }) => message);

  test('nothing is there that was not asked for', async () => {
    serve({});
    const id = await tell.start();
    for (const path of ['messages/word', 'cancel', 'resume'])
      expect([path, (await post(`${id}/${path}`, {}, '{}')).status]).toEqual([path, 404]);
    expect((await app.pawl.getWorkflowStatus(id))?.status).toBe('PENDING');
    expect(await messages(id)).toEqual([]);
  });

  test('who may not gets the same 404 as for a workflow that is not there, whatever the request', async () => {
    serve({ messages: true, cancel: true, resume: true });
    const id = await tell.start();
    const unknown = `${id.slice(0, -1)}x`;
    for (const path of ['/messages/word', '/cancel', '/resume']) {
      for (const headers of [{}, { 'Idempotency-Key': 'a,b' }, { 'Content-Type': 'text/csv' }]) {
        const asked = { ...headers, 'X-User': 'eve' } as Record<string, string>;
        const expected = await post(unknown + path, asked, '{');
        const refused = await post(id + path, asked, '{');
        expect({ ...refused, text: refused.text.replace(id, unknown) }).toEqual(expected);
        expect([expected.status, code(expected)]).toEqual([404, 'not-found']);
      }
      const wrong = await ask(portOf(app.server), `/workflows/${unknown}${path}`);
      expect([wrong.status, wrong.headers['allow']]).toEqual([405, 'POST']);
    }
    expect((await post(`${id}/messages/%00`)).status).toBe(404);
    expect((await app.pawl.getWorkflowStatus(id))?.status).toBe('PENDING');
    expect(await messages(id)).toEqual([]);
  });

  test('a message is accepted once it is durable, and received', async () => {
    serve({ messages: true });
    const id = await tell.start();
    expect(await send(id, 'hello')).toEqual({
      status: 202,
      headers: expect.objectContaining({
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
      }),
      text: JSON.stringify({ workflowID: id, topic: 'word' }),
    });
    expect(await app.pawl.retrieveWorkflow(id).getResult()).toBe('heard hello');
    expect(code(await send(id, 'more'))).toBe('workflow-finished');
    expect((await send(id, 'more')).status).toBe(409);
    expect((await messages(id)).length).toBe(1);
  });

  test('what is not JSON is refused instead of lost', async () => {
    serve({ messages: true });
    const id = await tell.start();
    for (const [type, body, status, name] of [
      ['application/json', '{"a":', 400, 'body-malformed'],
      ['application/json', '\uD800', 400, 'body-malformed'],
      ['text/csv', 'a,b', 415, 'body-not-json'],
      ['application/x-www-form-urlencoded', 'a=b', 415, 'body-not-json'],
      ['application/json', `"${'x'.repeat(1024 * 1024)}"`, 413, 'body-too-large'],
    ] as const) {
      const refused = await post(`${id}/messages/word`, { 'Content-Type': type }, body);
      expect([refused.status, code(refused)]).toEqual([status, name]);
    }
    const packed = { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' };
    expect((await post(`${id}/messages/word`, packed, 'x')).status).toBe(415);
    expect(await messages(id)).toEqual([]);
    // A message may be nothing at all.
    expect((await post(`${id}/messages/${encodeURIComponent('a/b')}`)).status).toBe(202);
    expect(await messages(id)).toEqual([undefined]);
  });

  test('a key makes it one message, however often it comes, also when the workflow has ended since', async () => {
    serve({ messages: true });
    const id = await tell.start();
    const key = app.newKey();
    const first = await send(id, { n: 1 }, { 'Idempotency-Key': key });
    expect([first.status, first.headers['idempotent-replayed']]).toEqual([202, undefined]);
    await app.pawl.retrieveWorkflow(id).getResult();
    for (const spelling of [key, `"${key}"`]) {
      const again = await send(id, { n: 1 }, { 'Idempotency-Key': spelling });
      expect([again.status, again.text, again.headers['idempotent-replayed']]).toEqual([
        202,
        first.text,
        'true',
      ]);
    }
    const other = await send(id, { n: 2 }, { 'Idempotency-Key': key });
    expect([other.status, code(other)]).toEqual([422, 'idempotency-key-reused']);
    expect(await messages(id)).toEqual([{ n: 1 }]);
    // Too late is not for ever: the workflow may be run again.
    const late = app.newKey();
    for (let tries = 0; tries < 2; tries += 1)
      expect(code(await send(id, 1, { 'Idempotency-Key': late }))).toBe('workflow-finished');
  });

  test('a key belongs to its caller, its workflow and its topic', async () => {
    serve({ messages: true });
    const [one, two] = [await tell.start(), await tell.start()];
    const key = app.newKey();
    const sent: [string, string, string, string][] = [
      [one, 'a', 'ada', 'for ada'],
      [one, 'a', 'bob', 'for bob'],
      [one, 'b', 'ada', 'for ada elsewhere'],
      [two, 'a', 'ada', 'for another'],
    ];
    for (const [id, topic, user, body] of sent) {
      const headers = { 'Idempotency-Key': key, 'X-User': user, 'Content-Type': 'application/json' };
      expect((await post(`${id}/messages/${topic}`, headers, JSON.stringify(body))).status).toBe(202);
    }
    expect(await messages(one)).toEqual(['for ada', 'for bob', 'for ada elsewhere']);
    expect(await messages(two)).toEqual(['for another']);
  });

  test('a key that is none is refused', async () => {
    serve({ messages: true });
    const id = await tell.start();
    for (const key of ['', 'a,b', '"a', 'ä', 'x'.repeat(256)]) {
      const refused = await send(id, 1, { 'Idempotency-Key': key });
      expect([refused.status, code(refused)]).toEqual([400, 'idempotency-key-invalid']);
    }
    expect(await messages(id)).toEqual([]);
  });

  test('many at once with one key send one message', async () => {
    serve({ messages: true });
    const id = await tell.start();
    const key = { 'Idempotency-Key': app.newKey() };
    const answers = await Promise.all(Array.from({ length: 8 }, () => send(id, 'hello', key)));
    for (const answer of answers)
      expect(answer.status === 409 ? [code(answer), answer.headers['retry-after']] : answer.status).toSatisfy(
        (seen) => seen === 202 || String(seen) === 'request-in-flight,1',
      );
    expect((await messages(id)).length).toBe(1);
  });

  test('cancel and resume answer with the status, and once more is no error', async () => {
    serve({ cancel: true, resume: true });
    const id = await tell.start();
    const status = ({ status: got, headers, text }: Answer): unknown[] => [
      ...[got, headers['cache-control'], (JSON.parse(text) as { status: string }).status],
    ];
    for (let tries = 0; tries < 2; tries += 1)
      expect(status(await post(`${id}/cancel`))).toEqual([200, 'no-store', 'CANCELLED']);
    for (let tries = 0; tries < 2; tries += 1)
      expect(status(await post(`${id}/resume`))).toEqual([200, 'no-store', 'PENDING']);
    await tell.finish(id, 'again');
    expect(status(await post(`${id}/cancel`))).toEqual([200, 'no-store', 'SUCCESS']);
    expect(status(await post(`${id}/resume`))).toEqual([200, 'no-store', 'SUCCESS']);
    expect(await app.pawl.retrieveWorkflow(id).getResult()).toBe('heard again');
  });

  test('authorize is told what is to be done', async () => {
    const asked: unknown[] = [];
    app.serve((routes) =>
      routes.workflows('/workflows', {
        ...{ messages: true, cancel: true, resume: true },
        authorize: (_req, { workflowID }, action) => asked.push([workflowID, action]) < 0,
      }),
    );
    const id = await tell.start();
    await send(id, 1);
    await post(`${id}/cancel`);
    await post(`${id}/resume`);
    await ask(portOf(app.server), `/workflows/${id}/steps`);
    expect(asked).toEqual(['message', 'cancel', 'resume', 'read'].map((action) => [id, action]));
  });
});
