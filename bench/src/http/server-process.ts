// Starts the process of one contender's server and says where it listens.
import { startProcess, type TurnProcess } from '../processes/start.ts';
import type { Serve } from './server.ts';

export interface ServerProcess extends AsyncDisposable {
  origin: string;
  cpuMicros: TurnProcess['cpuMicros'];
}

export async function startServer(serve: Serve): Promise<ServerProcess> {
  const server = startProcess(new URL('./server.ts', import.meta.url), serve);
  const port = String(await server.ask('port'));
  return {
    origin: `http://127.0.0.1:${port}`,
    cpuMicros: server.cpuMicros,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
