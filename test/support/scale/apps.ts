// Starts and calls the processes of the scale programs (app.ts).
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { AppMethods } from './app.ts';

export interface App extends AsyncDisposable {
  call<K extends keyof AppMethods>(
    method: K,
    ...args: Parameters<AppMethods[K]>
  ): Promise<Awaited<ReturnType<AppMethods[K]>>>;
  kill(): Promise<void>;
}

export interface AppOptions {
  databaseURL: string;
  /** Such as --conditions=@pawl/source; without it the built package is what runs. */
  execArgv?: readonly string[] | undefined;
  /** Steps of the workflow `hanging` never end here. */
  hangs?: boolean;
  config?: object;
}

/** A launched Pawl in a process of its own. */
export async function startApp({
  databaseURL,
  execArgv = [],
  hangs = false,
  config = {},
}: AppOptions): Promise<App> {
  const child = fork(fileURLToPath(new URL('app.ts', import.meta.url)), [], {
    execArgv: ['--import', 'tsx', '--expose-gc', ...execArgv],
    env: { ...process.env, DATABASE: databaseURL, CONFIG: JSON.stringify(config), HANGS: hangs ? '1' : '' },
  });
  const calls = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  child.on('message', ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
    if (error === undefined) calls.get(id)?.resolve(value as never);
    else calls.get(id)?.reject(new Error(error));
    calls.delete(id);
  });
  const exit = once(child, 'exit').then(() => {
    for (const { reject } of calls.values()) reject(new Error('The process ended.'));
  });
  let next = 0;
  const app: App = {
    call: (method, ...args) =>
      new Promise((resolve, reject) => {
        calls.set(++next, { resolve, reject });
        child.send({ id: next, method, args });
      }),
    kill: async () => {
      child.kill('SIGKILL');
      await exit;
    },
    [Symbol.asyncDispose]: () => app.kill(),
  };
  await app.call('launch');
  return app;
}
