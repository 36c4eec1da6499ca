// A process that takes webhooks and answers to hooks, for tests that kill it: no framework, so that it starts quickly.
// What its workflows really do is a line in a file, written at once.
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pawl } from '@pawl/core';
import { createHttp, type Exchange, type Reply, verify } from '@pawl/core/http';
import { crashAt, type CrashPoint } from '@pawl/core/testing';
import { serve } from '../../processes-suite/serve.ts';

const { DATABASE = '', LOG = '', CRASH = '' } = process.env;

const quiet = (): void => {};
const pawl = new Pawl({
  database: DATABASE,
  leaseSeconds: 3,
  logger: { debug: quiet, info: quiet, warn: quiet, error: console.error },
});
const note = (what: string): void => appendFileSync(LOG, `${what}\n`);

const ask = pawl.registerWorkflow(
  async () => {
    const hook = await pawl.createHook('approval');
    await pawl.runStep(() => note(`${pawl.workflowID} ${hook.token}`), { name: 'mail' });
    return pawl.recv<unknown>('approval', 600);
  },
  { name: 'ask' },
);
pawl.registerWorkflow(() => pawl.recv<unknown>('paid', 600), { name: 'pay' });
const react = pawl.registerWorkflow(
  (data: { order: string }) => pawl.runStep(() => note(`reacted ${data.order}`), { name: 'react' }),
  { name: 'react' },
);

const http = createHttp<unknown>(pawl, { scope: 'global' });
const hooks = http.hooks();
const webhook = http.webhook<{ type: string; order: string }>({
  name: 'receiver',
  verify: verify.unsafeNone(),
  route: ({ type, data }) =>
    type === 'start' ? { start: react } : { workflowID: data.order, topic: 'paid' },
});

const server = createServer((incoming, outgoing) => {
  let body: unknown;
  const path = incoming.url ?? '/';
  const exchange: Exchange<unknown> = {
    ...{ request: incoming, incoming, outgoing, method: incoming.method ?? '', originalUrl: path },
    localPath: path,
    getBody: () => body,
    setBody: (value) => void (body = value),
    setIdempotency: () => undefined,
  };
  const handling: Promise<Reply | undefined> =
    path === '/webhook' ? webhook(exchange) : hooks.serve(exchange);
  handling.then(
    (reply) => {
      outgoing.writeHead(reply?.status ?? 404, reply?.headers as Record<string, string>);
      outgoing.end(reply?.body);
    },
    (error: unknown) => outgoing.writeHead(500).end(String(error)),
  );
});

if (CRASH !== '') crashAt(pawl, JSON.parse(CRASH) as CrashPoint);

const methods = {
  async ready(): Promise<number> {
    await pawl.launch();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  },
  async ask(workflowID: string): Promise<void> {
    await pawl.startWorkflow(ask, { workflowID })();
  },
};
export type Receiver = typeof methods;
serve(methods);
