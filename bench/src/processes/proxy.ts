// The process that stands between a contender and the database, and is far away from both. Apart from the contender's, so
// that their event loops do not wait for each other.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { delayed } from '../network/delayed.ts';
import { answerParent } from './answer.ts';

export interface ProxyWork {
  host: string;
  port: number;
  /** Of each direction. */
  delayMs: number;
}

const { host, port, delayMs } = JSON.parse(process.argv[2] ?? '') as ProxyWork;

const server = createServer({ allowHalfOpen: true }, (near) => {
  const far = connect({ host, port, allowHalfOpen: true });
  delayed(near, far, delayMs);
  delayed(far, near, delayMs);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');

answerParent({ port: () => (server.address() as AddressInfo).port });
