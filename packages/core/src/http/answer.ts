// Owns the recorded form of a response: status, headers, identity bytes; to and from the stored record.
// Never talks to the database or to a socket.
import { isAscii } from 'node:buffer';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import type { HttpRecord } from '../store/http-requests.ts';
import type { Reply } from './exchange.ts';
import { type HeaderEntry, isRecorded } from './recorded-headers.ts';

/** A response that can be given again. */
export interface Answer {
  readonly status: number;
  readonly headers: readonly HeaderEntry[];
  readonly body: Uint8Array;
}

const NOTHING = new Uint8Array();
const MAX_TEXT = 16 * 1024;

export function answerOfRecord(record: HttpRecord): Answer | undefined {
  if (record.status === null) return undefined;
  return {
    status: record.status,
    headers: JSON.parse(record.headers ?? '[]') as HeaderEntry[],
    body: record.body ?? NOTHING,
  };
}

export function storedHeaders(answer: Answer): string {
  return JSON.stringify(answer.headers);
}

/** The answer as a reply; `marks` are headers of this one response, such as Idempotent-Replayed. */
export function replyOf(answer: Answer, marks: Readonly<Record<string, string>> = {}): Reply {
  return {
    status: answer.status,
    headers: { ...Object.fromEntries(answer.headers), ...marks },
    body: asText(answer.body),
  };
}

/** Plain ASCII as text: Node sends that in one piece with the headers, and bytes in a second one. */
function asText(body: Uint8Array): Uint8Array | string {
  if (body.byteLength === 0 || body.byteLength > MAX_TEXT || !isAscii(body)) return body;
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1');
}

/** A reply that was made here, in the form in which it is recorded: without what is of one response. Streams cannot be. */
export function answerOfReply(reply: Reply): Answer {
  const { body } = reply;
  const bytes =
    typeof body === 'string' ? Buffer.from(body, 'utf8') : body instanceof Uint8Array ? body : NOTHING;
  const headers = Object.entries(reply.headers).filter(([name]) => isRecorded(name));
  return { status: reply.status, headers, body: bytes };
}

type Decode = (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Uint8Array>;

const DECODERS: Readonly<Record<string, Decode>> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
};

/**
 * A compressing middleware chose an encoding for the one client that asked. The record must suit any client, so it
 * holds the plain bytes; the middleware compresses the replay as it likes. Undefined: they are more than `maxBytes`, and
 * have not been made: a thousandth of them may have been a user's upload.
 */
export async function withoutEncoding(answer: Answer, maxBytes: number): Promise<Answer | undefined> {
  const encoding = answer.headers.find(([name]) => name.toLowerCase() === 'content-encoding')?.[1];
  if (encoding === undefined || answer.body.byteLength === 0) return answer;
  const decode = DECODERS[String(encoding).toLowerCase()];
  if (decode === undefined) return answer;
  let body: Uint8Array;
  try {
    body = await decode(answer.body, { maxOutputLength: Math.max(1, maxBytes) });
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') return undefined;
    // It is not what it says. That is between the handler and its clients.
    return answer;
  }
  return {
    ...answer,
    body,
    headers: answer.headers.filter(([name]) => name.toLowerCase() !== 'content-encoding'),
  };
}
