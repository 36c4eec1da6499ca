// docs/status-endpoints.md: its samples do what the page says, the browser's in a browser.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { Pawl } from '@pawl/core';
import request from 'supertest';
import { beforeAll, describe, expect, test } from 'vitest';
import { chromiumIsMissing, launchChromium } from '../browser/chromium.ts';
import { read, samplesIn } from './samples.ts';
import { press } from './surroundings/your-reports.ts';

const page = 'docs/status-endpoints.md';
const { sample, run, save, atEnd } = samplesIn(page);
let server: Server;
let resultOf: (url: string, init?: RequestInit) => Promise<unknown>;

beforeAll(async () => {
  const code = sample('requireLogin); //', { 'listen(3000)': "listen(0, '127.0.0.1')" });
  const app = await run<{ server: Server; pawl: Pawl }>('reports', code);
  ({ server } = app);
  atEnd(() => app.pawl.shutdown({ graceSeconds: 0 }));
  atEnd(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  ({ resultOf } = (await import(save('poll', sample('function resultOf')))) as never);
});

const as = (user: string) => ({ Cookie: `user=${user}` });
const origin = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** Its first page is printed. */
async function started(pages: number): Promise<string> {
  press.ready = new Promise((resolve) => (press.go = resolve));
  const begun = await request(server)
    .post('/reports')
    .set(as('ada'))
    .set('Prefer', 'respond-async')
    .send({ pages });
  expect(begun.status).toBe(202);
  return String(begun.headers['location']);
}

test('a client follows its report, and nobody else does', async () => {
  const url = await started(3);
  const get = (user: string, at: string) =>
    request(server)
      .get(url + at)
      .set(as(user));
  expect((await get('ada', '')).body).toMatchObject({ name: 'report', status: 'PENDING' });
  expect((await get('ada', '/events/progress?wait=20').expect(200)).body).toEqual({ page: 1, pages: 3 });
  for (const at of ['', '/result', '/events', '/events/progress', '/steps']) await get('eve', at).expect(404);
  await request(server).get(url).expect(401);
  await request(server).post(`${url}/resume`).set(as('ada')).expect(404);
  press.go();
  const id = decodeURIComponent(url.slice('/workflows/'.length));
  expect(await resultOf(origin() + url, { headers: as('ada') })).toEqual({ url: `/files/${id}` });
  const steps = (await get('ada', '/steps').expect(200)).body as { name: string }[];
  expect(steps.map(({ name }) => name)).toEqual([
    'render',
    'progress',
    'render',
    'progress',
    'render',
    'progress',
  ]);
});

test('a client cancels its report; whoever waits for it is told', async () => {
  const url = await started(3);
  await request(server).post(`${url}/cancel`).set(as('eve')).expect(404);
  const waiting = resultOf(origin() + url, { headers: as('ada') });
  const told = expect(waiting).rejects.toThrow('The workflow was cancelled');
  await request(server).post(`${url}/cancel`).set(as('ada')).expect(200);
  await told;
  press.go();
});

test('a load balancer needs no login', async () => {
  await request(server).get('/health/live').expect(200);
  await request(server).get('/health/ready').expect(200);
});

test('in Koa the routes are the same', async () => {
  const { pawl } = (await import('./surroundings/your-reports.ts')) as { pawl: Pawl };
  const done = pawl.registerWorkflow(async () => 'done', { name: 'in koa' });
  const code = sample('userIn', { 'listen(3000)': "listen(0, '127.0.0.1')" });
  const { server: koa } = await run<{ server: Server }>('koa', code);
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
  atEnd(() => new Promise((resolve) => koa.close(resolve)));
  const handle = await pawl.withAuth({ user: 'ada' }, () => pawl.startWorkflow(done)());
  await handle.getResult();
  const url = `/workflows/${handle.workflowID}/result`;
  expect((await request(koa).get(url).set(as('ada')).expect(200)).text).toBe('"done"');
  await request(koa).get(url).set(as('eve')).expect(404);
  await request(koa).get('/health/ready').expect(200);
});

describe.skipIf(chromiumIsMissing())('in a browser', () => {
  test('each page is told once, over a lost connection as well, and after the end the browser stays away', async () => {
    const asked: string[] = [];
    server.on('request', ({ url = '', headers }) => {
      if (url.endsWith('/events')) asked.push(String(headers['last-event-id']));
    });
    const url = await started(4);
    const id = decodeURIComponent(url.slice('/workflows/'.length));
    const [code = ''] = [...read(page).matchAll(/^```js\n(.*?)^```$/gms)].map(([, js = '']) => js);
    const browser = await launchChromium();
    try {
      const context = await browser.newContext();
      await context.addCookies([{ name: 'user', value: 'ada', url: origin() }]);
      const tab = await context.newPage();
      await tab.goto(`${origin()}/health/live`);
      await tab.addScriptTag({ type: 'module', content: `${code}\nglobalThis.follow = follow;` });
      const seen = tab.evaluate(
        `new Promise((onEnd) => {
          globalThis.told = [];
          const onProgress = ({ page }) => told.push(page);
          follow(${JSON.stringify(id)}, { onProgress, onEnd: (status) => onEnd([...told, status]) });
        })`,
      );
      await tab.waitForFunction('globalThis.told?.length === 1');
      const again = once(server, 'request');
      server.closeAllConnections();
      await again;
      press.go();
      expect(await seen).toEqual([1, 2, 3, 4, 'SUCCESS']);
      expect(asked[0]).toBe('undefined');
      expect(asked[1]).toMatch(/^\d+$/);

      // One that forgets to close its stream.
      const closed = await tab.evaluate(
        `new Promise((resolve) => {
          const stream = new EventSource(${JSON.stringify(`${url}/events`)});
          stream.onerror = () => stream.readyState === EventSource.CLOSED && resolve('closed');
        })`,
      );
      expect(closed).toBe('closed');
      expect(asked.at(-1)).toMatch(/^end-\d+$/);
    } finally {
      await browser.close();
    }
  });
});
