import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { Answer } from './answer.ts';
import { type CaptureOptions, captureResponse } from './response-capture.ts';

let server: Server | undefined;
afterEach(() => void server?.close());

interface Seen {
  answers: Answer[];
  live: number;
}

async function serve(
  handler: (res: ServerResponse, req: IncomingMessage) => void,
  options: Partial<CaptureOptions> = {},
) {
  const seen: Seen = { answers: [], live: 0 };
  server = createServer((req, res) => {
    res.setHeader('X-Before', 'same');
    captureResponse(res, {
      maxBytes: 1000,
      onAnswer: async (answer) => {
        await pause(5);
        seen.answers.push(answer);
        return true;
      },
      onLive: async () => void (seen.live += 1),
      ...options,
    });
    handler(res, req);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return { seen, response };
}

test('what end() is given is recorded before it is sent', async () => {
  let recorded = false;
  const { response } = await serve(
    (res) => res.writeHead(201, { 'Content-Type': 'text/x', Location: '/1' }).end('done'),
    {
      onAnswer: async (answer) => {
        await pause(20);
        recorded = true;
        expect(answer.status).toBe(201);
        expect(answer.headers).toEqual([
          ['Content-Type', 'text/x'],
          ['Location', '/1'],
        ]);
        return true;
      },
    },
  );
  expect(recorded).toBe(true);
  expect(response.status).toBe(201);
  expect(response.headers.get('content-length')).toBe('4');
  expect(response.headers.get('idempotency-stored')).toBeNull();
  expect(await response.text()).toBe('done');
});

test('writes of one turn, strings and bytes and encodings, become one body', async () => {
  const { seen, response } = await serve((res) => {
    res.statusCode = 202;
    res.write('a');
    res.write(Buffer.from('b'));
    res.write('Yw==', 'base64');
    res.end('é', 'latin1');
  });
  expect(Buffer.from(await response.arrayBuffer()).toString('latin1')).toBe('abcé');
  expect(Buffer.from(seen.answers[0]?.body ?? []).toString('latin1')).toBe('abcé');
  expect(seen.answers[0]?.status).toBe(202);
});

test('a response without a body is recorded as such', async () => {
  const { seen, response } = await serve((res) => res.writeHead(204).end());
  expect(response.status).toBe(204);
  expect(seen.answers).toEqual([{ status: 204, headers: [], body: Buffer.alloc(0) }]);
});

test('the handler finds the response sent and ended as usual, and its callbacks are called', async () => {
  const states: boolean[][] = [];
  let called = 0;
  let closed: Promise<unknown> | undefined;
  const { response } = await serve((res) => {
    closed = once(res, 'close');
    states.push([res.headersSent, res.writableEnded]);
    res.write('x', () => (called += 1));
    states.push([res.headersSent, res.writableEnded]);
    res.end(() => (called += 1));
    states.push([res.headersSent, res.writableEnded]);
    res.end('again');
    res.write('after end', () => undefined);
  });
  expect(await response.text()).toBe('x');
  await closed;
  expect(states).toEqual([
    [false, false],
    [true, false],
    [true, true],
  ]);
  expect(called).toBe(2);
});

test('a hook on writeHead behind the capture adds headers that are recorded', async () => {
  const { seen } = await serve((res) => {
    const writeHead = res.writeHead;
    res.writeHead = function (...args: unknown[]) {
      res.setHeader('X-Late', 'yes');
      return Reflect.apply(writeHead, res, args) as ServerResponse;
    };
    res.end('x');
  });
  expect(seen.answers[0]?.headers).toEqual([['X-Late', 'yes']]);
});

test('a second answer changes nothing of the first one, and is told so', async () => {
  const faults: unknown[] = [];
  const { seen, response } = await serve((res) => {
    res.setHeader('Content-Length', 5);
    res.end('first');
    res.statusCode = 500;
    res.statusMessage = 'Second';
    for (const change of [
      () => res.setHeader('Content-Length', 1),
      () => res.appendHeader('X-More', 'x'),
      () => res.removeHeader('Content-Length'),
    ]) {
      try {
        change();
      } catch (error) {
        faults.push((error as { code?: string }).code);
      }
    }
    res.end('2');
  });
  expect(faults).toEqual(Array(3).fill('ERR_HTTP_HEADERS_SENT'));
  expect([response.status, response.statusText]).toEqual([200, 'OK']);
  expect(response.headers.get('content-length')).toBe('5');
  expect(await response.text()).toBe('first');
  expect(seen.answers[0]?.status).toBe(200);
});

test.each<[string, (res: ServerResponse) => void]>([
  ['ERR_HTTP_INVALID_STATUS_CODE', (res) => ((res.statusCode = 0), res.end('x'))],
  ['ERR_HTTP_INVALID_STATUS_CODE', (res) => res.writeHead('abc' as unknown as number)],
  ['ERR_INVALID_CHAR', (res) => ((res.statusMessage = 'a\r\nX-Forged: 1'), res.end('x'))],
  ['ERR_INVALID_ARG_TYPE', (res) => res.write({})],
])('%s is thrown in the handler, which can answer that', async (code, handler) => {
  const { seen, response } = await serve((res) => {
    try {
      handler(res);
    } catch (error) {
      expect(res.headersSent).toBe(false);
      res.statusMessage = '';
      res.writeHead(500).end((error as { code?: string }).code);
    }
  });
  expect(response.status).toBe(500);
  expect(await response.text()).toBe(code);
  expect(seen.answers.map(({ status }) => status)).toEqual([500]);
});

test('a response that Node refuses to send in the end is cut off, and the process lives', async () => {
  const answered = serve((res) => {
    res.strictContentLength = true;
    res.setHeader('Content-Length', 1);
    res.end('abc');
  });
  await expect(answered).rejects.toThrow('fetch failed');
});

test('a response that was not stored says so', async () => {
  const { response } = await serve((res) => res.end('x'), { onAnswer: async () => false });
  expect(response.headers.get('idempotency-stored')).toBe('false');
  expect(await response.text()).toBe('x');
});

test('a response that cannot be stored because the database is away goes out all the same', async () => {
  const { response } = await serve((res) => res.end('x'), {
    onAnswer: () => Promise.reject(new Error('away')),
  });
  expect(response.headers.get('idempotency-stored')).toBe('false');
  expect(await response.text()).toBe('x');
});

test.each<[string, (res: ServerResponse) => void]>([
  ['a pipe', (res) => void Readable.from(['a', 'b']).pipe(res)],
  ['flushed headers', (res) => (res.flushHeaders(), void setTimeout(() => res.end('ab'), 10))],
  [
    'an event stream',
    (res) => (res.writeHead(200, { 'Content-Type': 'text/event-stream' }), void res.end('ab')),
  ],
  [
    'a handler that takes its time between writes',
    (res) => (res.write('a'), void setTimeout(() => res.end('b'), 60)),
  ],
])('%s goes out live and is not stored', async (_, handler) => {
  const { seen, response } = await serve(handler);
  expect(response.headers.get('idempotency-stored')).toBe('false');
  expect(await response.text()).toBe('ab');
  expect(seen).toEqual({ answers: [], live: 1 });
});

test('a body over the limit goes out complete and is not stored', async () => {
  for (const handler of [
    (res: ServerResponse) => res.end('x'.repeat(5000)),
    (res: ServerResponse) => (res.write('x'.repeat(2500)), res.end('x'.repeat(2500))),
  ]) {
    const { seen, response } = await serve(handler);
    expect((await response.text()).length).toBe(5000);
    expect(response.headers.get('idempotency-stored')).toBe('false');
    expect(seen).toEqual({ answers: [], live: 1 });
    server?.close();
  }
});

test('a stream is held back under back-pressure while it is being recorded as one', async () => {
  let drained = 0;
  const { response } = await serve(
    (res) => {
      res.on('drain', () => {
        drained += 1;
        res.end('tail');
      });
      expect(res.write('x'.repeat(2000))).toBe(false);
    },
    { onLive: () => pause(30) },
  );
  expect((await response.text()).length).toBe(2004);
  expect(drained).toBe(1);
});

test('the first part of a live stream arrives before its end', async () => {
  let end = () => {};
  const { response } = await serve((res) => {
    res.write('first');
    end = () => res.end('last');
  });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await reader.read();
  expect(Buffer.from(value ?? []).toString()).toBe('first');
  end();
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('last');
});
