// Owns reading a request's body without getting in the way of the body parser behind us: what was read is put back
// into the stream, so that any parser, also one for multipart, finds it as it came.
// Never reads what a parser in front has consumed; that one's result is taken instead.
import type { IncomingMessage } from 'node:http';
import { type Exchange, mediaType } from './exchange.ts';

export type RequestBody =
  /** The bytes as they came over the wire; empty without a body. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /**
   * What a parser in front made of them. `bytes` if it preserved them; `doubtful` if what it preserved is text,
   * and that does not have all of them.
   */
  | {
      readonly kind: 'parsed';
      readonly value: unknown;
      readonly bytes: Uint8Array | undefined;
      readonly doubtful?: boolean;
    }
  | { readonly kind: 'too-large' }
  /** A parser in front made something of it that nobody can store, nor compare. */
  | { readonly kind: 'too-deep' }
  /** The client went away in mid-body. */
  | { readonly kind: 'aborted' };

/** Half of what can be stored: a body is stored as part of something. */
const MAX_LEVELS = 500;
const NOTHING = new Uint8Array();

/** Reads the body, at most `limit` bytes of it. */
export async function readBody(exchange: Exchange<unknown>, limit: number): Promise<RequestBody> {
  const { incoming } = exchange;
  const declared = Number(incoming.headers['content-length'] ?? 0);
  if (declared > limit) return { kind: 'too-large' };
  if (wasConsumed(incoming)) return consumed(exchange);
  // HTTP/2 frames a body without saying so in a header.
  const framed = incoming.headers['transfer-encoding'] !== undefined || incoming.httpVersionMajor >= 2;
  if (declared === 0 && !framed) {
    // Parsers of older frameworks leave an empty object where there is no body.
    return { kind: 'bytes', bytes: NOTHING };
  }
  const body = await readAndPutBack(incoming, limit);
  // Koa's parser takes an ended stream for a client that has gone, unless there is a body already: the one it would make.
  const empty = body.kind === 'bytes' && body.bytes.byteLength === 0;
  if (empty && incoming.readableEnded && exchange.getBody() === undefined) exchange.setBody({});
  return body;
}

/** The value of a body that says it is JSON; undefined for any other, and for none. */
export function parseJSON(
  exchange: Exchange<unknown>,
  bytes: Uint8Array,
): { value: unknown } | { malformed: string } | undefined {
  if (bytes.byteLength === 0 || !isJSON(mediaType(exchange.incoming))) return undefined;
  const encoding = exchange.incoming.headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return isTooDeep(value) ? { malformed: TOO_DEEP } : { value };
  } catch (error) {
    return { malformed: error instanceof Error ? error.message : 'not JSON' };
  }
}

export const TOO_DEEP = `It is nested more than ${MAX_LEVELS} levels deep.`;

/** True for JSON that no client means: what walks it runs out of stack, or refuses it when it is too late to say so. */
export function isTooDeep(value: unknown, levels = MAX_LEVELS): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  if (levels === 0) return true;
  for (const key in value) {
    if (isTooDeep((value as Record<string, unknown>)[key], levels - 1)) return true;
  }
  return false;
}

export function isJSON(type: string): boolean {
  return type === 'application/json' || type.endsWith('+json') || type === 'text/json';
}

function wasConsumed(incoming: IncomingMessage): boolean {
  return incoming.readableEnded || incoming.readableDidRead || !incoming.readable;
}

/** Bytes that a parser in front preserved: its own Buffer body, or the `rawBody` that many set-ups keep. */
function consumed(exchange: Exchange<unknown>): RequestBody {
  const value = exchange.getBody();
  const raw =
    (exchange.incoming as { rawBody?: unknown }).rawBody ??
    (exchange.request as { rawBody?: unknown } | null)?.rawBody ??
    (exchange.request as { request?: { rawBody?: unknown } } | null)?.request?.rawBody;
  if (value instanceof Uint8Array) return { kind: 'bytes', bytes: value };
  if (isTooDeep(value)) return { kind: 'too-deep' };
  if (raw instanceof Uint8Array) return { kind: 'parsed', value, bytes: raw };
  if (typeof raw !== 'string') return { kind: 'parsed', value, bytes: undefined };
  const bytes = Buffer.from(raw, 'utf8');
  return { kind: 'parsed', value, bytes, doubtful: isDoubtful(exchange.incoming, raw, bytes) };
}

/** Decoding drops a byte order mark, and puts a replacement character where the bytes are no UTF-8. */
function isDoubtful(incoming: IncomingMessage, text: string, bytes: Uint8Array): boolean {
  const declared = incoming.headers['content-length'];
  return (declared !== undefined && Number(declared) !== bytes.byteLength) || text.includes('\uFFFD');
}

/**
 * Takes the bytes out of the paused stream and, in the same turn in which the last of them came, puts them back in
 * front: Node ends a stream one turn after it ran empty, and does not if it is no longer empty by then.
 */
function readAndPutBack(incoming: IncomingMessage, limit: number): Promise<RequestBody> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (result: RequestBody): void => {
      incoming.off('readable', onReadable);
      incoming.off('end', onEnd);
      incoming.off('error', onAborted);
      incoming.off('close', onAborted);
      resolve(result);
    };
    // A chunked body without a chunk ends without ever having been readable, and one of HTTP/2 is complete only then:
    // nothing can be put back any more.
    const onEnd = (): void => finish({ kind: 'bytes', bytes: Buffer.concat(chunks, size) });
    const onAborted = (): void => finish({ kind: 'aborted' });
    const onReadable = (): void => {
      for (let chunk = take(incoming); chunk !== null; chunk = take(incoming)) {
        chunks.push(chunk);
        size += chunk.byteLength;
        if (size > limit) {
          finish({ kind: 'too-large' });
          incoming.resume();
          return;
        }
      }
      if (!incoming.complete) return;
      const bytes = Buffer.concat(chunks, size);
      if (size > 0) incoming.unshift(bytes);
      finish({ kind: 'bytes', bytes });
    };
    incoming.on('end', onEnd);
    incoming.on('error', onAborted);
    incoming.on('close', onAborted);
    incoming.on('readable', onReadable);
  });
}

function take(incoming: IncomingMessage): Buffer | null {
  const chunk: unknown = incoming.read();
  return chunk === null || chunk instanceof Buffer ? chunk : Buffer.from(String(chunk));
}
