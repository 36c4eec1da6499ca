// Server processes that a suite kills, each a program of processes/.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { bundle, HOME } from '../processes-suite/bundle.ts';

export interface Shop {
  readonly pid: number;
  readonly port: number;
  readonly url: string;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
}

export interface ShopProgram {
  /** Resolves when it listens. */
  start(framework: string, database: string): Promise<Shop>;
  killAll(): void;
}

export async function shopProgram(file: 'shop.ts' | 'keyed-shop.ts'): Promise<ShopProgram> {
  const text = await bundle(fileURLToPath(new URL(`processes/${file}`, import.meta.url)));
  const children = new Set<ChildProcess>();
  return {
    async start(framework, database) {
      const child = spawn(process.execPath, ['--input-type=module', '-', framework, database], {
        stdio: ['pipe', 'pipe', 'inherit'],
        cwd: HOME,
      });
      children.add(child);
      child.stdin.on('error', () => undefined);
      child.stdin.end(text);
      const exited = once(child, 'exit');
      const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
      return {
        pid: child.pid as number,
        port: Number(line),
        url: `http://127.0.0.1:${line}`,
        async kill() {
          child.kill('SIGKILL');
          await exited;
          children.delete(child);
        },
      };
    },
    killAll() {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}
