// Owns the hold on a ServerResponse: what a handler writes is kept back until it has been recorded, then sent.
// Never decides what is recorded, nor how: it reports the answer and waits.
//
// States: holding -> settling (the handler has ended; being recorded) -> sent
//                 -> opening  (too large, flushed, piped or slow: cannot be kept; being recorded as such) -> live
// Sits on the instance: it sees whatever way the response is made, and before anything that patched it earlier,
// such as compression, so the bytes are plain. Once sent or live, every call goes straight through.
import {
  type OutgoingHttpHeader,
  type OutgoingHttpHeaders,
  type ServerResponse,
  validateHeaderValue,
} from 'node:http';
import type { Answer } from './answer.ts';
import { recordedHeaders } from './recorded-headers.ts';

export interface CaptureOptions {
  /** More than this is not kept. */
  readonly maxBytes: number;
  /** The handler has ended its response. Resolves when the response may go; false: it was not stored. */
  readonly onAnswer: (answer: Answer) => Promise<boolean>;
  /** The response cannot be kept. Resolves when it may go out live. */
  readonly onLive: (status: number) => Promise<void>;
}

export interface ResponseCapture {
  /** Nothing is held any more: what comes goes out as it is. For whoever recorded the answer by other means. */
  release(marks: Readonly<Record<string, string>>): void;
  /** The response will be a stream. */
  goLive(): Promise<void>;
  /** The response will be piped, and yet is no stream: a compressing middleware in front does so with any body. */
  holdPipes(): void;
  /** True until the handler has ended its response, or it went live. */
  readonly holding: boolean;
  readonly headersBefore: OutgoingHttpHeaders;
}

/** A handler that writes piecemeal has this long to end, before it counts as a stream. */
const GRACE_MS = 25;

/** The same for all responses: with functions of its own each would be slow to use. */
const SAYS_YES = { configurable: true, get: () => true };

type Callback = (error?: Error | null) => void;
type State = 'holding' | 'settling' | 'opening' | 'through';

export function captureResponse(response: ServerResponse, options: CaptureOptions): ResponseCapture {
  const before = response.getHeaders();
  // Whoever patched the response before us is called in turn.
  const original = {
    writeHead: response.writeHead,
    write: response.write,
    end: response.end,
    flushHeaders: response.flushHeaders,
  };
  let state: State = 'holding';
  /** As the handler wrote it: what it assigns afterwards has no effect, in Node as little as here. */
  let head: { readonly status: number; readonly message: string } | undefined;
  let ended = false;
  let needsDrain = false;
  let size = 0;
  let chunks: Buffer[] = [];
  let callbacks: Callback[] = [];
  let grace: NodeJS.Timeout | undefined;

  const held = (): boolean => state !== 'through';

  function letThrough(marks: Readonly<Record<string, string>>): void {
    clearTimeout(grace);
    state = 'through';
    Reflect.deleteProperty(response, 'writableEnded');
    Reflect.deleteProperty(response, 'headersSent');
    if (head !== undefined && response.statusCode !== head.status) response.statusCode = head.status;
    if (head !== undefined && response.statusMessage !== head.message) response.statusMessage = head.message;
    for (const [name, value] of Object.entries(marks))
      if (!response.headersSent) response.setHeader(name, value);
    const body = kept();
    const done = callbacks;
    chunks = [];
    callbacks = [];
    const callback = (error?: Error | null): void => done.forEach((each) => each(error));
    if (ended) {
      if (size > 0) original.end.call(response, body, 'utf8', () => callback());
      else Reflect.apply(original.end, response, [() => callback()]);
    } else {
      if (size > 0) original.write.call(response, body, 'utf8', callback);
      else if (head !== undefined) original.flushHeaders.call(response);
      if (needsDrain) setImmediate(() => response.emit('drain'));
    }
  }

  /** Nobody is left to catch what fails from here on: the client is to see that its response is none. */
  function send(marks: Readonly<Record<string, string>>): void {
    try {
      letThrough(marks);
    } catch {
      response.destroy();
    }
  }

  async function settle(): Promise<void> {
    state = 'settling';
    clearTimeout(grace);
    const answer: Answer = {
      status: head?.status ?? response.statusCode,
      headers: recordedHeaders(before, namedHeaders(response)),
      body: kept(),
    };
    const stored = await options.onAnswer(answer).catch(() => false);
    send(stored ? {} : { 'Idempotency-Stored': 'false' });
  }

  async function open(): Promise<void> {
    if (state !== 'holding') return;
    state = 'opening';
    clearTimeout(grace);
    await options.onLive(head?.status ?? response.statusCode).catch(() => undefined);
    send({ 'Idempotency-Stored': 'false' });
  }

  function kept(): Buffer {
    return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size);
  }

  function keep(bytes: Buffer | undefined): void {
    if (bytes === undefined) return;
    chunks.push(bytes);
    size += bytes.byteLength;
  }

  /** As Node does before the first byte: whoever hooked writeHead behind us has its say now. */
  function implicitHead(): void {
    if (head === undefined) response.writeHead(response.statusCode);
  }

  response.writeHead = function (this: ServerResponse, ...args: unknown[]) {
    if (!held()) return Reflect.apply(original.writeHead, response, args) as ServerResponse;
    if (head !== undefined) throw headersSent('write');
    const [status, reason] = args as [number, unknown];
    const headers = typeof reason === 'string' ? args[2] : (args[1] ?? args[2]);
    response.statusCode = validStatus(status);
    if (typeof reason === 'string') response.statusMessage = reason;
    validateHeaderValue('statusMessage', response.statusMessage ?? '');
    setHeaders(response, headers);
    head = { status: response.statusCode, message: response.statusMessage };
    Object.defineProperty(response, 'headersSent', SAYS_YES);
    if (String(response.getHeader('content-type') ?? '').startsWith('text/event-stream')) void open();
    return response;
  };

  // A second answer must not give the first one's bytes another length.
  for (const name of ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader'] as const) {
    const change = response[name] as ((...args: unknown[]) => unknown) | undefined;
    if (change === undefined) continue; // HTTP/2 has not all of them
    response[name] = function (...args: unknown[]) {
      if (held() && head !== undefined) throw headersSent(name.startsWith('remove') ? 'remove' : 'set');
      return Reflect.apply(change, response, args);
    } as never;
  }

  response.flushHeaders = function () {
    if (!held()) return original.flushHeaders.call(response);
    implicitHead();
    void open();
  };

  response.write = function (...args: unknown[]) {
    if (!held()) return Reflect.apply(original.write, response, args) as boolean;
    const [chunk, encoding] = args;
    const callback = args.find((arg) => typeof arg === 'function') as Callback | undefined;
    if (ended) {
      if (callback !== undefined) process.nextTick(callback, writeAfterEnd());
      return false;
    }
    const bytes = bytesOf(chunk, encoding);
    implicitHead();
    keep(bytes);
    if (callback !== undefined) callbacks.push(callback);
    if (size > options.maxBytes) void open();
    else if (state === 'holding') grace ??= setTimeout(() => void open(), GRACE_MS);
    needsDrain = state === 'opening';
    return !needsDrain;
  } as ServerResponse['write'];

  response.end = function (...args: unknown[]) {
    if (!held()) return Reflect.apply(original.end, response, args) as ServerResponse;
    const [chunk, encoding] = args;
    const callback = args.find((arg) => typeof arg === 'function') as Callback | undefined;
    if (ended) {
      if (callback !== undefined) process.nextTick(callback, writeAfterEnd());
      return response;
    }
    const bytes = typeof chunk === 'function' ? undefined : bytesOf(chunk, encoding);
    implicitHead();
    keep(bytes);
    if (callback !== undefined) callbacks.push(callback);
    ended = true;
    Object.defineProperty(response, 'writableEnded', SAYS_YES);
    if (state === 'holding') void (size > options.maxBytes ? open() : settle());
    return response;
  } as ServerResponse['end'];

  // Express closes the connection when a handler throws after it has begun its response. A client that goes leaves marks
  // on the socket, and its handler goes on.
  const { socket } = response;
  response.once('close', () => {
    const byClient = socket === null || socket.readableEnded || socket.errored !== null;
    if (head !== undefined && !ended && !byClient) void open();
  });

  let pipes = false;
  response.on('pipe', () => {
    if (!pipes) void open();
  });

  return {
    headersBefore: before,
    get holding() {
      return state === 'holding';
    },
    release: (marks) => {
      if (state === 'holding') letThrough(marks);
    },
    goLive: open,
    holdPipes: () => {
      pipes = true;
    },
  };
}

function bytesOf(chunk: unknown, encoding: unknown): Buffer | undefined {
  if (chunk === undefined || chunk === null) return undefined;
  return typeof chunk === 'string'
    ? Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
    : Buffer.from(chunk as Uint8Array);
}

/** The headers under the names that the handler gave them. */
export function namedHeaders(response: ServerResponse): [string, OutgoingHttpHeader | undefined][] {
  const raw =
    (response as { getRawHeaderNames?: () => string[] }).getRawHeaderNames?.() ?? response.getHeaderNames();
  return raw.map((name) => [name, response.getHeader(name)]);
}

function setHeaders(response: ServerResponse, headers: unknown): void {
  if (Array.isArray(headers)) {
    const flat: unknown[] = Array.isArray(headers[0]) ? headers.flat() : headers;
    const seen = new Set<string>();
    for (let index = 0; index + 1 < flat.length; index += 2) {
      const name = String(flat[index]);
      const value = flat[index + 1] as string | string[];
      if (seen.has(name.toLowerCase())) response.appendHeader(name, value);
      else response.setHeader(name, value);
      seen.add(name.toLowerCase());
    }
  } else if (typeof headers === 'object' && headers !== null) {
    for (const [name, value] of Object.entries(headers as OutgoingHttpHeaders)) {
      if (value !== undefined) response.setHeader(name, value);
    }
  }
}

/** As Node's writeHead: a fault of the handler's is to be thrown in the handler. */
function validStatus(status: number): number {
  const code = status | 0;
  if (code >= 100 && code <= 999) return code;
  const error = new RangeError(`Invalid status code: ${status}`);
  throw Object.assign(error, { code: 'ERR_HTTP_INVALID_STATUS_CODE' });
}

function headersSent(verb: string): Error {
  const error = new Error(`Cannot ${verb} headers after they are sent to the client`);
  return Object.assign(error, { code: 'ERR_HTTP_HEADERS_SENT' });
}

function writeAfterEnd(): Error {
  return Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' });
}
