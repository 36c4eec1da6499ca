// `GET /:id/events`: Server-Sent Events, each once and in order. On every framework, on both kinds of database.
import { beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { type AppUnderTest, describeOnEach } from './app-under-test.ts';
import { ask, openStream, portOf, type Stream } from './plain-client.ts';
import { becomes, registerTelling, type Telling } from './telling.ts';

describeOnEach('event streams', (app: AppUnderTest) => {
  let tell: Telling;
  beforeAll(() => {
    tell = registerTelling(app);
  });

  const serve = (): void =>
    app.serve((routes) => routes.workflows('/workflows', { authorize: () => true, cancel: true }));
  const pathOf = (id: string): string => `/workflows/${encodeURIComponent(id)}/events`;
  const stream = (id: string, headers: Record<string, string> = {}, query = ''): Promise<Stream> =>
    openStream(portOf(app.server), pathOf(id) + query, headers);
  const waiting = (): number => internals(app.pawl).runtime.waiting;

  test('what was set and what is being set, under ids, then the end', async () => {
    serve();
    const id = await tell.start();
    const events = await stream(id);
    expect(events.response.statusCode).toBe(200);
    expect(events.response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      'transfer-encoding': 'chunked',
    });
    await events.until('{"step":1}');
    await tell.finish(id);
    await events.ended;
    const [first, second] = events.events().map((event) => event.id);
    expect(events.text()).toBe(
      `retry: 1000\n\nid: ${first}\nevent: progress\ndata: {"step":1}\n\n` +
        `id: ${second}\nevent: progress\ndata: {"step":2}\n\n` +
        `id: end-${second}\nevent: end\ndata: {"status":"SUCCESS"}\n\n`,
    );
    expect(Number(second)).toBeGreaterThan(Number(first));
  });

  test('a client that comes back gets what it has not seen, wherever it was cut', async () => {
    serve();
    const many = app.register('many', async () => {
      for (let n = 1; n <= 6; n += 1) await app.pawl.setEvent(n % 2 === 0 ? 'even' : 'odd', n);
    });
    const handle = await app.pawl.startWorkflow(many)();
    await handle.getResult();
    const whole = await stream(handle.workflowID);
    await whole.ended;
    const all = whole.events();
    expect(all.map(({ event, data }) => [event, data])).toEqual([
      ...[1, 2, 3, 4, 5, 6].map((n) => [n % 2 === 0 ? 'even' : 'odd', n]),
      ['end', { status: 'SUCCESS' }],
    ]);
    for (const [index, { id = '' }] of all.slice(0, -1).entries()) {
      const header = await stream(handle.workflowID, { 'Last-Event-ID': id });
      const query = await stream(handle.workflowID, {}, `?lastEventId=${id}`);
      await Promise.all([header.ended, query.ended]);
      expect(header.events()).toEqual(all.slice(index + 1));
      expect(query.text()).toBe(header.text());
    }
    for (const id of ['', 'x', '-1', '1.5', '99999999999999999999', 'end', '1 OR 1=1']) {
      const strange = await stream(handle.workflowID, { 'Last-Event-ID': id });
      await strange.ended;
      expect([id, strange.events()]).toEqual([id, all]);
    }
  });

  test('a client that has seen the end is told to stay away, until there is more', async () => {
    serve();
    const id = await tell.start();
    const events = await stream(id);
    await events.until('"step":1');
    await app.pawl.cancelWorkflow(id);
    await events.ended;
    const last = events.events().at(-1);
    expect(last).toMatchObject({ event: 'end', data: { status: 'CANCELLED' } });
    const headers = { 'Last-Event-ID': String(last?.id) };
    expect(await ask(portOf(app.server), pathOf(id), { headers })).toEqual({
      status: 204,
      headers: expect.objectContaining({ 'cache-control': 'no-store' }),
      text: '',
    });
    await app.pawl.resumeWorkflow(id);
    const resumed = await stream(id, headers);
    await tell.finish(id);
    await resumed.ended;
    expect(resumed.events().map(({ data }) => data)).toEqual([{ step: 2 }, { status: 'SUCCESS' }]);
  });

  test('a workflow without events has an end too', async () => {
    serve();
    const none = app.register('none', async () => {});
    const handle = await app.pawl.startWorkflow(none)();
    const events = await stream(handle.workflowID);
    await events.ended;
    expect(events.events()).toEqual([{ id: 'end-0', event: 'end', data: { status: 'SUCCESS' } }]);
    const headers = { 'Last-Event-ID': 'end-0' };
    expect((await ask(portOf(app.server), pathOf(handle.workflowID), { headers })).status).toBe(204);
  });

  test('a name or a value cannot break the stream', async () => {
    serve();
    const odd = app.register('odd', async () => {
      await app.pawl.setEvent('a\nid: 9\rdata: x', 'line 1\nline 2\r\n\r\n: and \u2028 \u{1F422}');
      await app.pawl.setEvent(' b', undefined);
    });
    const handle = await app.pawl.startWorkflow(odd)();
    const events = await stream(handle.workflowID);
    await events.ended;
    expect(events.events().map(({ event, data }) => [event, data])).toEqual([
      ['a id: 9 data: x', 'line 1\nline 2\r\n\r\n: and \u2028 \u{1F422}'],
      [' b', null],
      ['end', { status: 'SUCCESS' }],
    ]);
  });

  test('one that is deleted ends, and says nothing of its successor under the same id', async () => {
    serve();
    const id = await tell.start();
    const one = await stream(id);
    await one.until('"step":1');
    await app.pawl.cancelWorkflow(id);
    await one.ended;
    await app.pawl.resumeWorkflow(id);
    const other = await stream(id);
    await other.until('"step":1');
    await app.pawl.deleteWorkflow(id);
    await other.ended;
    expect(other.events().at(-1)).toMatchObject({ event: 'end', data: { status: 'DELETED' } });
    expect((await ask(portOf(app.server), pathOf(id))).status).toBe(404);
  });

  test('clients that go leave nothing behind', async () => {
    serve();
    const before = waiting();
    const id = await tell.start();
    const streams = await Promise.all([stream(id), stream(id), stream(id)]);
    await Promise.all(streams.map((each) => each.until('"step":1')));
    const polls = ['result?wait=60', 'events/later?wait=60'].map((path) =>
      openStream(portOf(app.server), `/workflows/${id}/${path}`).catch(() => 'gone'),
    );
    // Two for the poll of an event: it is also over when the workflow is.
    await becomes(() => waiting() === before + 6);
    for (const each of streams) each.close();
    app.server.closeAllConnections();
    expect(await Promise.all(polls)).toEqual(['gone', 'gone']);
    await becomes(() => waiting() === before);
    await becomes(async () => {
      const rows = await app.sql('SELECT 1 FROM pawl.waiter WHERE executor <> 0 AND target = $1', [id]);
      return rows.length === 0;
    });
    await tell.finish(id);
  });
});
