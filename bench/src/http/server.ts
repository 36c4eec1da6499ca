// The process of one contender's server. Its argument says what to serve; it tells its port, its CPU time when asked,
// and ends when its parent does.
import type { AddressInfo } from 'node:net';
import type { Contender } from '../contract.ts';
import { type Framework, serverOf, type Shop } from './apps.ts';
import type { Mode } from '../peers/http-pawl.ts';

export interface Serve {
  contender: Contender;
  framework: Framework;
  mode: Mode;
  databaseUrl: string;
}

export type Told = { port: number } | { cpuMicros: number };

const serve = JSON.parse(process.argv[2] ?? '') as Serve;
const shop = await open(serve);
const server = serverOf(serve.framework, shop);
server.listen(0, '127.0.0.1', () => tell({ port: (server.address() as AddressInfo).port }));

process.on('message', (asked) => {
  if (asked === 'cpu') {
    const { user, system } = process.cpuUsage();
    tell({ cpuMicros: user + system });
  } else if (asked === 'close') {
    server.close();
    server.closeAllConnections();
    // By exit(), so that a CPU profile is written whatever a contender leaves behind.
    void shop.close().finally(() => process.exit(0));
  }
});
process.on('disconnect', () => process.exit(1));

function tell(told: Told): void {
  process.send?.(told);
}

// Imported on demand, so that no contender's process holds the code of another.
async function open({ contender, databaseUrl, mode }: Serve): Promise<Shop> {
  switch (contender) {
    case 'bare':
      return (await import('../peers/http-bare.ts')).bareShop(databaseUrl);
    case 'dbos':
      return (await import('../peers/http-dbos.ts')).dbosShop(databaseUrl);
    case 'pawl':
      return (await import('../peers/http-pawl.ts')).pawlShop(databaseUrl, mode);
  }
}
