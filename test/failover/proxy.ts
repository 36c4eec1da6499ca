// A TCP proxy in front of Postgres that knows where a request ends and where its answer does: so it can cut a
// connection before the server has the request, or when the request is done and its answer under way.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** `before`: the request never arrives. `after`: it is done, with its commit, and nobody is told. */
export type Cut = 'before' | 'after';

export interface Proxy {
  readonly url: string;
  /** Asked for every request: the text of a query, or of the statement that is executed. */
  judge: (text: string) => Cut | undefined;
  close(): Promise<void>;
}

export async function startProxy(target: string): Promise<Proxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    pass(client, upstream, (text) => proxy.judge(text));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  const proxy: Proxy = {
    url: url.href,
    judge: () => undefined,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}

/** One connection. What belongs to a request is held until all of it is there, and passed on as one. */
function pass(client: Socket, upstream: Socket, judge: Proxy['judge']): void {
  const statements = new Map<string, string>();
  let text = '';
  let held: Buffer[] = [];
  let greeted = false;
  let answer: ((data: Buffer) => void) | undefined;

  const cutAfterAnswer = (): void => {
    answer = messages(
      () => true,
      (type) => {
        if (type === 'Z') client.destroy();
      },
    );
  };
  const request = messages(
    () => greeted,
    (type, message) => {
      held.push(message);
      if (type === 'P') {
        const [name = '', sql = ''] = strings(message);
        statements.set(name, (text = sql));
      } else if (type === 'B') text = statements.get(strings(message)[1] ?? '') ?? '';
      else if (type === 'Q') [text = ''] = strings(message);
      if (type === 'Q' || type === 'S') {
        const cut = judge(text);
        if (cut === 'before') {
          client.destroy();
          return;
        }
        if (cut === 'after') cutAfterAnswer();
      } else if (greeted && type !== 'X' && type !== 'p') return;
      greeted = true;
      upstream.write(Buffer.concat(held));
      held = [];
    },
  );
  client.on('data', request);
  upstream.on('data', (data) => {
    if (answer === undefined) client.write(data);
    else answer(data);
  });
}

/** Takes a stream apart: a type, a length, a body. The first message of a client has no type. */
function messages(
  typed: () => boolean,
  onMessage: (type: string, message: Buffer) => void,
): (data: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (data) => {
    rest = Buffer.concat([rest, data]);
    for (;;) {
      const head = typed() ? 1 : 0;
      if (rest.length < head + 4) return;
      const end = head + rest.readInt32BE(head);
      if (rest.length < end) return;
      const message = rest.subarray(0, end);
      rest = rest.subarray(end);
      onMessage(head === 0 ? '' : String.fromCharCode(message[0] as number), message);
    }
  };
}

/** The texts that a message begins with. */
function strings(message: Buffer): string[] {
  return message.subarray(5).toString('latin1').split('\0', 2);
}
