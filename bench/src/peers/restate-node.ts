// A Restate node for one turn: the server in a process of its own, the services in this one, behind the HTTP/2 endpoint of
// the SDK. What runs on Restate is in restate.ts and message-restate.ts.
import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createEndpointHandler, type EndpointOptions } from '@restatedev/restate-sdk';
import { connect, type Ingress } from '@restatedev/restate-sdk-clients';
import type { RestateAddresses } from '../processes/restate-server.ts';
import { startProcess } from '../processes/start.ts';

export interface RestateNode {
  ingress: Ingress;
  /** Asks the tables of the server's introspection, which are read from its storage. */
  query(sql: string): Promise<Record<string, unknown>[]>;
  serverPids: readonly number[];
  close(): Promise<void>;
}

export async function startRestate(services: EndpointOptions['services']): Promise<RestateNode> {
  const serverProcess = startProcess(new URL('../processes/restate-server.ts', import.meta.url), null);
  const endpoint = createServer(createEndpointHandler({ services, logger }));
  const close = async (): Promise<void> => {
    endpoint.close();
    await serverProcess[Symbol.asyncDispose]();
  };
  try {
    const { ingressUrl, adminUrl, pid } = (await serverProcess.ask('addresses')) as RestateAddresses;
    endpoint.listen(0, '127.0.0.1');
    await once(endpoint, 'listening');
    const { port } = endpoint.address() as AddressInfo;
    await post(`${adminUrl}/deployments`, { uri: `http://127.0.0.1:${port}` });
    return {
      ingress: connect({ url: ingressUrl }),
      async query(sql) {
        const { rows } = (await post(`${adminUrl}/query`, { query: sql })) as {
          rows: Record<string, unknown>[];
        };
        return rows;
      },
      serverPids: [pid],
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function post(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response.json();
}

// The SDK calls this on each invocation, and Node 20 does not have it.
if (!('withResolvers' in Promise)) {
  const withResolvers = (): object => {
    const resolvers = {};
    const promise = new Promise((resolve, reject) => Object.assign(resolvers, { resolve, reject }));
    return Object.assign(resolvers, { promise });
  };
  Object.assign(Promise, { withResolvers });
}

// It writes lines for each invocation, and that would measure the terminal.
const logger: NonNullable<EndpointOptions['logger']> = ({ level }, ...message) => {
  if (['warn', 'error'].includes(level)) console.error(level, ...message);
};
