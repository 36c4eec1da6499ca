// Server processes that a suite kills: a program of processes/ as one text, which starts in a quarter of the time that a
// loader of TypeScript takes.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Where a program believes that it is: from here it finds the packages that core needs, and core's SQL files. */
const HOME = fileURLToPath(new URL('../../packages/core/src/store/', import.meta.url));

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
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`processes/${file}`, import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    conditions: ['@pawl/source'],
    external: ['pg', '@electric-sql/pglite', '@opentelemetry/api'],
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
  const text = outputFiles[0]?.text ?? '';
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
