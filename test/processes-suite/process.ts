// Programs in processes of their own, called as if they were objects. A process ends with the test that started it,
// however that ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { bundle, HOME } from './bundle.ts';
import type { Methods, Reply, Request } from './serve.ts';

export interface Program<M extends Methods> {
  readonly pid: number;
  /** Rejects with what the method threw, or when the process ends before it answered. */
  call<K extends keyof M & string>(method: K, ...args: Parameters<M[K]>): Promise<Awaited<ReturnType<M[K]>>>;
  /** How it ended: the signal, or its exit code. */
  readonly ended: Promise<NodeJS.Signals | number>;
  /** Sends the signal; with SIGKILL, and no other, waits for the end. */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts a TypeScript program. It answers as soon as it has called `serve`. */
export async function startProgram<M extends Methods>(
  file: URL,
  env: Record<string, string> = {},
): Promise<Program<M>> {
  const text = await bundle(fileURLToPath(file));
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-'], {
    stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
    cwd: HOME,
    env: { ...process.env, DATABASE_URL: '', ...env },
    serialization: 'advanced',
  });
  child.stdin?.on('error', () => {});
  child.stdin?.end(text);
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let next = 0;
  const ended = once(child, 'exit').then(([code, signal]) => {
    const how = (signal ?? code) as NodeJS.Signals | number;
    for (const { reject } of waiting.values()) reject(new Error(`The process ended (${how}).`));
    waiting.clear();
    return how;
  });
  child.on('message', (reply: Reply) => {
    const call = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (reply.error === undefined) call?.resolve(reply.value as never);
    else call?.reject(new Error(reply.error));
  });
  return {
    pid: child.pid as number,
    ended,
    call: (method, ...args) =>
      new Promise((resolve, reject) => {
        const id = ++next;
        waiting.set(id, { resolve, reject });
        child.send({ id, method, args } satisfies Request, (error) => {
          if (error !== null) reject(error);
        });
      }),
    kill: async (signal = 'SIGKILL') => {
      child.kill(signal);
      if (signal === 'SIGKILL') await ended;
    },
  };
}
