// `GET /:id/streams/:key`: the values of a stream as Server-Sent Events. On every framework, on both kinds of database.
import type { Workflow } from '@pawl/core';
import { beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { type AppUnderTest, describeOnEach } from './app-under-test.ts';
import { ask, openStream, portOf, type Stream } from './plain-client.ts';
import { becomes } from './telling.ts';

describeOnEach('streams of values', (app: AppUnderTest) => {
  let writing: Workflow<[], void>;
  let made = 0;

  beforeAll(() => {
    // Two values, a word to go on, two more, and with the word 'close' an end before its own.
    writing = app.register('write', async () => {
      const { pawl } = app;
      for (const n of [0, 1]) await pawl.writeStream('a key/x', { n });
      const word = await pawl.recv('word', 600);
      if (word === 'fail') throw new Error('as asked');
      for (const n of [2, 3]) await pawl.writeStream('a key/x', { n });
      if (word !== 'close') return;
      await pawl.closeStream('a key/x');
      await pawl.recv('word', 600);
    });
  });

  const serve = (): void => app.serve((routes) => routes.workflows('/workflows', { authorize: () => true }));
  const start = async (): Promise<string> => {
    const workflowID = `${app.framework.name}-v${(made += 1)}`;
    await app.pawl.withAuth({ user: 'alice' }, () => app.pawl.startWorkflow(writing, { workflowID })());
    return workflowID;
  };
  const pathOf = (id: string, key = 'a key/x'): string =>
    `/workflows/${encodeURIComponent(id)}/streams/${encodeURIComponent(key)}`;
  const stream = (id: string, headers: Record<string, string> = {}, query = ''): Promise<Stream> =>
    openStream(portOf(app.server), pathOf(id) + query, headers);
  const say = (id: string, word: string) => app.pawl.send(id, word, 'word');
  const value = (n: number): string => `id: ${n}\ndata: {"n":${n}}\n\n`;

  test('what was written and what is being written, under its offsets, then the end', async () => {
    serve();
    const id = await start();
    const values = await stream(id);
    expect(values.response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    });
    await values.until('"n":1');
    await say(id, 'go');
    await values.ended;
    const text = `retry: 1000\n\n${[0, 1, 2, 3].map(value).join('')}id: end-4\nevent: end\ndata: {"status":"SUCCESS"}\n\n`;
    expect(values.text()).toBe(text);
  });

  test('a client that comes back gets what it has not seen, and one that names an offset what is there from it on', async () => {
    serve();
    const id = await start();
    await say(id, 'go');
    const whole = await stream(id);
    await whole.ended;
    const all = whole.events();
    expect(all).toHaveLength(5);
    const from = async (headers: Record<string, string>, query: string) => {
      const again = await stream(id, headers, query);
      await again.ended;
      return again.events();
    };
    for (const seen of [0, 1, 3]) {
      expect(await from({ 'Last-Event-ID': String(seen) }, '')).toEqual(all.slice(seen + 1));
      // The header is of a browser that has come further than the address it was given.
      expect(await from({ 'Last-Event-ID': String(seen) }, '?offset=0')).toEqual(all.slice(seen + 1));
      expect(await from({}, `?lastEventId=${seen}`)).toEqual(all.slice(seen + 1));
      expect(await from({}, `?offset=${seen}`)).toEqual(all.slice(seen));
    }
    expect(await from({}, '?offset=99')).toEqual([{ ...all[4], id: 'end-99' }]);
    for (const strange of ['-1', 'x', '', '1.5', '99999999999999'])
      expect(await from({ 'Last-Event-ID': strange }, '')).toEqual(all);
    for (const wrong of [
      'offset=-1',
      'offset=x',
      'offset=',
      'offset=1.5',
      'offset=1234567890',
      'offset=1&offset=2',
    ]) {
      const refused = await ask(portOf(app.server), `${pathOf(id)}?${wrong}`);
      expect([wrong, refused.status]).toEqual([wrong, 400]);
      expect(JSON.parse(refused.text)).toMatchObject({ code: 'offset-invalid' });
    }
  });

  test('one that is closed ends while its workflow runs, and who has seen the end is told to stay away', async () => {
    serve();
    const id = await start();
    const values = await stream(id);
    const beyond = await stream(id, {}, '?offset=9');
    await values.until('"n":1');
    await say(id, 'close');
    await Promise.all([values.ended, beyond.ended]);
    const last = values.events().at(-1);
    expect(last).toEqual({ id: 'end-4', event: 'end', data: { status: 'CLOSED' } });
    expect(beyond.events().map(({ data }) => data)).toEqual([{ status: 'CLOSED' }]);
    expect((await app.pawl.getWorkflowStatus(id))?.status).toBe('PENDING');
    const headers = { 'Last-Event-ID': 'end-4' };
    expect(await ask(portOf(app.server), pathOf(id), { headers })).toEqual({
      status: 204,
      headers: expect.objectContaining({ 'cache-control': 'no-store' }),
      text: '',
    });
    await say(id, 'end');
  });

  test('one that was cut off by a cancellation goes on after a resume, also for who has seen the end', async () => {
    serve();
    const id = await start();
    const values = await stream(id);
    await values.until('"n":1');
    await app.pawl.cancelWorkflow(id);
    await values.ended;
    expect(values.events().at(-1)).toEqual({ id: 'end-2', event: 'end', data: { status: 'CANCELLED' } });
    await app.pawl.resumeWorkflow(id);
    const resumed = await stream(id, { 'Last-Event-ID': 'end-2' });
    await say(id, 'fail');
    await resumed.ended;
    expect(resumed.events()).toEqual([{ id: 'end-2', event: 'end', data: { status: 'ERROR' } }]);
  });

  test('a key that was never written to is an empty stream', async () => {
    serve();
    const id = await start();
    const none = await openStream(portOf(app.server), pathOf(id, 'none'));
    await say(id, 'go');
    await none.ended;
    expect(none.events()).toEqual([{ id: 'end-0', event: 'end', data: { status: 'SUCCESS' } }]);
    const headers = { 'Last-Event-ID': 'end-0' };
    expect((await ask(portOf(app.server), pathOf(id, 'none'), { headers })).status).toBe(204);
  });

  test('whom the app does not let in learns nothing, and an unknown id is the same', async () => {
    app.serve((routes) =>
      routes.workflows('/workflows', {
        authorize: (_, workflow, action) => action === 'read' && workflow.authenticatedUser === 'bob',
      }),
    );
    const id = await start();
    const refused = await ask(portOf(app.server), pathOf(id));
    const unknown = await ask(portOf(app.server), pathOf('nobody'));
    for (const { status, text } of [refused, unknown]) {
      expect(status).toBe(404);
      expect(JSON.parse(text)).toMatchObject({ code: 'not-found' });
    }
    expect(Object.keys(unknown.headers)).toEqual(Object.keys(refused.headers));
    expect((await ask(portOf(app.server), pathOf('nobody'), { method: 'POST' })).status).toBe(405);
  });

  test('clients that go leave nothing behind', async () => {
    serve();
    const { runtime } = internals(app.pawl);
    await becomes(() => runtime.waiting === 0);
    const id = await start();
    const streams = await Promise.all([stream(id), stream(id), stream(id)]);
    await Promise.all(streams.map((each) => each.until('"n":1')));
    await becomes(() => runtime.waiting === 3);
    for (const each of streams) each.close();
    await becomes(() => runtime.waiting === 0);
    await say(id, 'go');
  });
});
