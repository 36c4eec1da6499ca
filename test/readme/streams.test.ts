// docs/streams.md: its samples do what the page says, the browser's in a browser.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import type { Pawl } from '@pawl/core';
import { pawlExpress } from '@pawl/express';
import express from 'express';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { chromiumIsMissing, launchChromium } from '../browser/chromium.ts';
import { read, samplesIn } from './samples.ts';

const page = 'docs/streams.md';
const { directory, sample, run, save, atEnd } = samplesIn(page);
const PARTS = ['What ', 'is ', 'a '];
let pawl: Pawl;

beforeAll(async () => {
  vi.spyOn(console, 'log').mockImplementation(() => {});
  ({ pawl } = await run<{ pawl: Pawl }>('chat', sample('writeStream')));
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
});

test('a reader that leaves and comes back is given each value once', async () => {
  const reading = sample('parts.length', {
    "'./your-chat.ts'": JSON.stringify(path.join(directory, 'chat.ts')),
  });
  const { parts } = (await import(save('reading', reading))) as { parts: string[] };
  expect(parts).toEqual(PARTS);
  expect(await pawl.retrieveWorkflow('chat-17').getResult()).toBe(PARTS.join(''));
});

describe.skipIf(chromiumIsMissing())('in a browser', () => {
  let server: Server;
  beforeAll(async () => {
    const http = pawlExpress(pawl, { scope: 'global' });
    const routes = http.workflows({ authorize: () => true });
    server = express().use('/workflows', routes).listen(0, '127.0.0.1');
    await once(server, 'listening');
    atEnd(() => new Promise((resolve) => server.close(resolve)));
  });

  test('each value comes with its offset, then how the stream ended', async () => {
    const handle = await pawl.startWorkflow('chat', { workflowID: 'chat-18' })('What is a heron?');
    const [code = ''] = [...read(page).matchAll(/^```js\n(.*?)^```$/gms)].map(([, js = '']) => js);
    const browser = await launchChromium();
    try {
      const tab = await browser.newPage();
      await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/workflows/none`);
      await tab.addScriptTag({ type: 'module', content: `${code}\nglobalThis.readAnswer = readAnswer;` });
      const told = await tab.evaluate(
        `new Promise((resolve) => {
          const told = [];
          readAnswer('chat-18', { onPart: (...part) => told.push(part), onEnd: (status) => resolve([...told, status]) });
        })`,
      );
      expect(told).toEqual([...PARTS.map((part, offset) => [part, offset]), 'CLOSED']);
      await handle.getResult();
    } finally {
      await browser.close();
    }
  });
});
