// Requests as bytes on a socket, for what an HTTP client would not let a test send, and responses as they came.
import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Response } from 'supertest';

export interface WireResponse {
  readonly status: number;
  /** As they came, without Date and what belongs to the connection. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  header(name: string): string | undefined;
}

const OF_THE_CONNECTION = /^(date|connection|keep-alive|content-length|transfer-encoding)$/i;

export async function open(server: Server): Promise<Socket> {
  if (!server.listening) await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1' });
  // A server that refuses early may reset the connection: what came before that is what counts.
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Sends the request and reads until the server closes: `head` are its lines, to which `Connection: close` is added. */
export async function exchange(
  server: Server,
  head: readonly (string | Buffer)[],
  body: string | Buffer = '',
): Promise<WireResponse> {
  const socket = await open(server);
  const end = Buffer.from('\r\n');
  const lines = [...head, 'Host: x', 'Connection: close', ''].flatMap((line) => [Buffer.from(line), end]);
  socket.write(Buffer.concat([...lines, Buffer.from(body)]));
  return response(socket);
}

/** The lines of a keyed POST of some JSON. `keys` are the values of the header, one line for each. */
export function keyedPost(
  path: string,
  keys: readonly (string | Buffer)[],
  body: string,
): (string | Buffer)[] {
  const lines = keys.map((key) => Buffer.concat([Buffer.from('Idempotency-Key: '), Buffer.from(key)]));
  return [
    `POST ${path} HTTP/1.1`,
    ...lines,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
}

/** The response on a connection that the server closes behind it. */
export async function response(socket: Socket): Promise<WireResponse> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'close');
  const all = Buffer.concat(chunks);
  const cut = all.indexOf('\r\n\r\n');
  if (cut < 0) throw new Error(`no response, but ${JSON.stringify(all.toString('latin1'))}`);
  const [first = '', ...lines] = all.subarray(0, cut).toString('latin1').split('\r\n');
  const every = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const header = (name: string): string | undefined =>
    every.find(([given]) => given.toLowerCase() === name.toLowerCase())?.[1];
  const raw = all.subarray(cut + 4);
  return {
    status: Number(first.split(' ')[1]),
    headers: every.filter(([name]) => !OF_THE_CONNECTION.test(name)),
    body: header('transfer-encoding') === 'chunked' ? dechunked(raw) : raw,
    header,
  };
}

function dechunked(raw: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const line = raw.indexOf('\r\n', at);
    const size = Number.parseInt(raw.subarray(at, line).toString('latin1'), 16);
    if (!(size > 0)) return Buffer.concat(parts);
    parts.push(raw.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}

/** For supertest's `parse`: a body as its bytes. */
export function collect(given: Response, done: (error: Error | null, body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  const stream = given as unknown as NodeJS.ReadableStream;
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => done(null, Buffer.concat(chunks)));
}
