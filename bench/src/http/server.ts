// The process of one contender's server. Its argument says what to serve; it tells its port.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Contender } from '../contract.ts';
import type { Mode } from '../peers/http-pawl.ts';
import { answerParent } from '../processes/answer.ts';
import { type Framework, serverOf, type Shop } from './apps.ts';

export interface Serve {
  contender: Contender;
  framework: Framework;
  mode: Mode;
  databaseUrl: string;
}

const serve = JSON.parse(process.argv[2] ?? '') as Serve;
const shop = await open(serve);
const server = serverOf(serve.framework, shop);
server.listen(0, '127.0.0.1');
await once(server, 'listening');

answerParent({
  port: () => (server.address() as AddressInfo).port,
  close: () => {
    server.close();
    server.closeAllConnections();
    return shop.close();
  },
});

// Imported on demand, so that no contender's process holds the code of another.
async function open({ contender, databaseUrl, mode }: Serve): Promise<Shop> {
  switch (contender) {
    case 'bare':
      return (await import('../peers/http-bare.ts')).bareShop(databaseUrl);
    case 'dbos':
      return (await import('../peers/http-dbos.ts')).dbosShop(databaseUrl);
    case 'pawl':
      return (await import('../peers/http-pawl.ts')).pawlShop(databaseUrl, mode);
    default:
      throw new Error(`${contender} does not serve HTTP here.`);
  }
}
