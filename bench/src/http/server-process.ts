// Starts a server's process and talks to it. Owns its life: it ends with the turn.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Serve, Told } from './server.ts';

const serverFile = fileURLToPath(new URL('./server.ts', import.meta.url));

export interface ServerProcess extends AsyncDisposable {
  origin: string;
  /** What it has used so far. */
  cpuMicros(): Promise<number>;
}

export async function startServer(serve: Serve): Promise<ServerProcess> {
  const child = fork(serverFile, [JSON.stringify(serve)]);
  const ended = once(child, 'exit');
  const answer = async (): Promise<Told> => {
    const [told] = (await Promise.race([
      once(child, 'message'),
      ended.then(([code]) => {
        throw new Error(`The server of ${serve.contender} ended with ${code}.`);
      }),
    ])) as [Told];
    return told;
  };
  const ready = await answer();
  if (!('port' in ready)) throw new Error('The server began with something else than its port.');
  return {
    origin: `http://127.0.0.1:${ready.port}`,
    async cpuMicros() {
      const told = answer();
      child.send('cpu');
      const cpu = await told;
      return 'cpuMicros' in cpu ? cpu.cpuMicros : Number.NaN;
    },
    async [Symbol.asyncDispose]() {
      child.send('close');
      await ended;
    },
  };
}
