// A client without a library in between: what it tells of a response is what came over the wire.
import { type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
}

interface Asking {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** Without the headers that are another one each time. */
export async function ask(port: number, path: string, asking: Asking = {}): Promise<Answer> {
  const response = await begin(port, path, asking);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  const { date: _, connection: __, 'keep-alive': ___, ...headers } = response.headers;
  return { status: response.statusCode ?? 0, headers, text };
}

export interface StreamEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: unknown;
}

export interface Stream {
  readonly response: IncomingMessage;
  text(): string;
  events(): StreamEvent[];
  /** Resolves once this has come; rejects if the stream ends without it. */
  until(part: string): Promise<void>;
  /** The server has ended it, or `close` has. */
  readonly ended: Promise<void>;
  close(): void;
}

export async function openStream(
  port: number,
  path: string,
  headers: Record<string, string> = {},
): Promise<Stream> {
  const response = await begin(port, path, { headers });
  let text = '';
  let over = false;
  const onText = new Set<() => void>();
  const tell = (): void => {
    for (const listener of onText) listener();
  };
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    tell();
  });
  response.on('error', () => {});
  const ended = new Promise<void>((resolve) =>
    response.on('close', () => {
      over = true;
      tell();
      resolve();
    }),
  );
  return {
    response,
    ended,
    text: () => text,
    events: () => text.split('\n\n').flatMap(parse),
    until: (part) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (text.includes(part)) resolve();
          else if (over) reject(new Error(`The stream ended without ${part}: ${text}`));
          else return;
          onText.delete(look);
        };
        onText.add(look);
        look();
      }),
    close: () => response.destroy(),
  };
}

/** The response as it begins. */
export function begin(
  port: number,
  path: string,
  { method = 'GET', headers, body }: Asking = {},
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // Of its own: the pool of connections would tell of earlier requests.
    const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, resolve);
    asked.on('error', reject);
    asked.end(body);
  });
}

/** One block of a stream, by the rules of the HTML standard as far as we use them. */
function parse(block: string): StreamEvent[] {
  let id: string | undefined;
  let event = 'message';
  let data: string | undefined;
  for (const line of block.split('\n')) {
    const [, field = '', value = ''] = /^([^:]*):? ?([^]*)$/.exec(line) ?? [];
    if (field === 'id') id = value;
    if (field === 'event') event = value;
    if (field === 'data') data = data === undefined ? value : `${data}\n${value}`;
  }
  return data === undefined ? [] : [{ id, event, data: JSON.parse(data) as unknown }];
}
