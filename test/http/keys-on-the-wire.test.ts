// The Idempotency-Key header, byte by byte: what is a key, which keys are the same, and that a replay has the same bytes.
import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { describeOnEach, gate } from './app-under-test.ts';
import { exchange, keyedPost, open, response } from './wire.ts';

const BODY = '{"a":1}';

describeOnEach('keys on the wire', (app) => {
  let runs = 0;
  let hold: ReturnType<typeof gate> | undefined;
  let server: Server;

  beforeEach(() => {
    runs = 0;
    hold = undefined;
    app.serve((routes) => {
      const handler = async ({ body }: { body: unknown }) => {
        runs += 1;
        await hold?.opened;
        return { status: 201, headers: { 'X-Order': '7', Link: ['<a>', '<b>'] }, json: { ö: runs, body } };
      };
      routes.idempotent('/things', {}, handler);
      routes.idempotent('/strict', { keyFormat: 'strict' }, handler);
      routes.idempotent('/small', { maxBodyBytes: 100 }, handler);
      routes.idempotent('/own', { header: 'X-Request-Key' }, handler);
    });
    server = app.server;
  });

  const post = (keys: readonly (string | Buffer)[], path = '/things') =>
    exchange(server, keyedPost(path, keys, BODY), BODY);

  test('a replay differs from the response in the one header that says so', async () => {
    const key = app.newKey();
    const first = await post([key]);
    const again = await post([key]);
    expect([first.status, again.status, runs]).toEqual([201, 201, 1]);
    expect(again.body.equals(first.body)).toBe(true);
    const marked = [...first.headers, ['Idempotent-Replayed', 'true']];
    expect(again.headers.map(String).sort()).toEqual(marked.map(String).sort());
  });

  test('every spelling of a key is the same key', async () => {
    const key = app.newKey();
    const spellings = [key, `"${key}"`, `  "${key}" `, `"${key}";a=1`, `"${key}" ; b="x,y";c`, `\t${key}`];
    for (const spelling of spellings) expect((await post([spelling])).status).toBe(201);
    const [name = '', ...lines] = keyedPost('/things', [key], BODY);
    const cased = lines.map((line) => String(line).replace('Idempotency-Key', 'IDEMPOTENCY-KEY'));
    expect((await exchange(server, [name, ...cased], BODY)).header('idempotent-replayed')).toBe('true');
    expect(runs).toBe(1);
    const escaped = `${key} "a" \\ b, c`;
    const quoted = `"${escaped.replace(/["\\]/g, '\\$&')}"`;
    await post([quoted]);
    expect((await post([`${quoted};x`])).header('idempotent-replayed')).toBe('true');
    expect(runs).toBe(2);
  });

  const refused: readonly (readonly [why: string, keys: (string | Buffer)[]])[] = [
    ['two headers', ['a', 'b']],
    ['the same header twice', ['"a"', '"a"']],
    ['what a proxy makes of two', ['a, b']],
    ['an empty value', ['']],
    ['an empty string', ['""']],
    ['256 characters', ['x'.repeat(256)]],
    ['256 characters after decoding', [`"${'\\"'.repeat(256)}"`]],
    ['UTF-8', [Buffer.from('ключ')]],
    ['UTF-8 in quotes', [Buffer.from('"ключ"')]],
    ['Latin-1', [Buffer.from('é', 'latin1')]],
    ['a tab within', ['a\tb']],
    ['a control character', ['a\u0001b']],
    ['DEL in quotes', ['"a\u007fb"']],
    ['a space in a token', ['a b']],
    ['a folded line', ['a\r\n b']],
    ['an open quote', ['"a']],
    ['an unknown escape', ['"a\\b"']],
    ['parameters of a token', ['a;b=1']],
    ['something behind the string', ['"a" b']],
  ];
  test('anything else is 400, and runs nothing', async () => {
    for (const [why, keys] of refused) {
      const answer = await post(keys);
      expect([why, answer.status]).toEqual([why, 400]);
      // Some never get past Node's own parser.
      if (answer.body.byteLength === 0) continue;
      expect(answer.header('content-type')).toBe('application/problem+json; charset=utf-8');
      expect([why, JSON.parse(answer.body.toString())]).toEqual([
        why,
        {
          type: 'urn:pawl:problem:idempotency-key-invalid',
          title: 'Idempotency-Key is not valid',
          status: 400,
          detail: expect.any(String),
          instance: '/things',
          code: 'idempotency-key-invalid',
          retryable: false,
        },
      ]);
    }
    const long = app.newKey();
    for (const key of [long.padEnd(255, 'x'), `"${long}${'\\"'.repeat(255 - long.length)}"`])
      expect((await post([key])).status).toBe(201);
    expect(runs).toBe(2);
  });

  test('keyFormat strict takes the quoted form only; the header can have another name', async () => {
    const key = app.newKey();
    expect((await post([key], '/strict')).status).toBe(400);
    expect((await post([`"${key}"`], '/strict')).status).toBe(201);
    const [name = '', line = '', ...rest] = keyedPost('/own', [key], BODY);
    const own = [name, String(line).replace('Idempotency-Key', 'X-Request-Key'), ...rest];
    await exchange(server, own, BODY);
    expect((await exchange(server, own, BODY)).header('idempotent-replayed')).toBe('true');
    await post([key], '/own');
    expect(runs).toBe(3);
  });

  test('a chunked body, an absolute target and another order of fields are the same request', async () => {
    const key = app.newKey();
    const first = await post([key]);
    const head = [`Idempotency-Key: ${key}`, 'Content-Type: application/json; charset=utf-8'];
    const chunked = [...head, 'Transfer-Encoding: chunked'];
    const again = [
      await exchange(server, ['POST /things HTTP/1.1', ...chunked], '4\r\n{ "a\r\n5\r\n" :1}\r\n0\r\n\r\n'),
      await exchange(server, ['POST http://x/things HTTP/1.1', ...head, 'Content-Length: 7'], BODY),
    ];
    for (const each of again) expect(each.body.toString()).toBe(first.body.toString());
    const empty = app.newKey();
    const none = ['POST /things HTTP/1.1', `Idempotency-Key: ${empty}`];
    const withNone = await exchange(server, [...none, 'Transfer-Encoding: chunked'], '0\r\n\r\n');
    const said = await exchange(server, [...none, 'Content-Length: 0']);
    expect([said.status, said.body.toString()]).toEqual([201, withNone.body.toString()]);
    expect(runs).toBe(2);
  });

  test('a body over the limit is 413, said or not, and nothing is stored', async () => {
    const large = `{"a":"${'x'.repeat(200)}"}`;
    const key = app.newKey();
    const said = await exchange(server, keyedPost('/small', [key], large), large);
    const chunked = [
      'POST /small HTTP/1.1',
      `Idempotency-Key: ${key}`,
      'Content-Type: application/json',
      'Transfer-Encoding: chunked',
    ];
    const unsaid = await exchange(server, chunked, `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`);
    for (const { status, body } of [said, unsaid])
      expect([status, JSON.parse(body.toString()).code]).toEqual([413, 'body-too-large']);
    expect(runs).toBe(0);
    expect((await post([key], '/small')).status).toBe(201);
  });

  test('a client that goes in mid-body leaves nothing behind; one that is slow is served', async () => {
    const key = app.newKey();
    const head = [...keyedPost('/things', [key], BODY), 'Host: x', 'Connection: close', '', ''].join('\r\n');
    const gone = await open(server);
    const came = once(server, 'request');
    gone.write(`${head}{"a`);
    const [cut] = (await came) as [IncomingMessage];
    gone.destroy();
    // Not by `once`, which an error on the way would reject.
    await new Promise((resolve) => cut.once('close', resolve));
    const slow = await open(server);
    const answer = response(slow);
    for (const piece of head.match(/[^]{1,40}/g) ?? []) {
      slow.write(piece);
      await pause(1);
    }
    for (const byte of BODY) {
      slow.write(byte);
      await pause(5);
    }
    expect((await answer).status).toBe(201);
    expect((await answer).header('idempotent-replayed')).toBeUndefined();
    expect(runs).toBe(1);
  });

  test('a client that goes while the handler works finds the answer when it comes back', async () => {
    hold = gate();
    const key = app.newKey();
    const socket = await open(server);
    socket.write([...keyedPost('/things', [key], BODY), 'Host: x', '', BODY].join('\r\n'));
    await expect.poll(() => runs).toBe(1);
    socket.destroy();
    await once(socket, 'close');
    expect((await post([key])).status).toBe(409);
    hold.open();
    await expect.poll(async () => (await post([key])).status).toBe(201);
    const again = await post([key]);
    expect(JSON.parse(again.body.toString())).toEqual({ ö: 1, body: { a: 1 } });
    expect(again.header('idempotent-replayed')).toBe('true');
    expect(runs).toBe(1);
  });

  test('a client that does not read holds nobody up', async () => {
    app.serve((routes) =>
      routes.idempotent('/large', {}, () => ((runs += 1), { text: 'x'.repeat(250_000) })),
    );
    server = app.server;
    const key = app.newKey();
    const socket = await open(server);
    socket.pause();
    socket.write([...keyedPost('/large', [key], BODY), 'Host: x', '', BODY].join('\r\n'));
    await expect.poll(async () => (await post([key], '/large')).status).toBe(200);
    const again = await post([key], '/large');
    expect([again.body.byteLength, again.header('idempotent-replayed'), runs]).toEqual([250_000, 'true', 1]);
    socket.destroy();
  });

  test('a handler that fails after it has begun its response does not keep the key in flight', async () => {
    app.serve((routes) =>
      routes.idempotent('/half', {}, ({ outgoing }) => {
        runs += 1;
        outgoing.writeHead(200);
        throw new Error('bad luck');
      }),
    );
    server = app.server;
    const key = app.newKey();
    const socket = await open(server);
    socket.write([...keyedPost('/half', [key], BODY), 'Host: x', '', BODY].join('\r\n'));
    // Express closes the connection; Koa leaves that to the client.
    if (app.framework.family === 'koa') {
      await expect.poll(() => runs).toBe(1);
      socket.destroy();
    }
    await once(socket, 'close');
    const isInFlight = async (): Promise<boolean> => {
      const answer = await Promise.race([post([key], '/half').catch(() => undefined), pause(100)]);
      return answer?.body.includes('request-in-flight') ?? false;
    };
    await expect.poll(isInFlight).toBe(false);
  });
});
