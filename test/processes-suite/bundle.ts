// Programs of tests as one text each: they start in a quarter of the time that a loader of TypeScript takes.
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Where a bundle of ours believes that it is: from here it finds the packages that core needs, and core's SQL files. */
export const HOME = fileURLToPath(new URL('../../packages/core/src/store/', import.meta.url));

const bundles = new Map<string, Promise<string>>();

/** All sources of a program, for the standard input of `node --input-type=module -`. */
export function bundle(file: string): Promise<string> {
  let text = bundles.get(file);
  if (text === undefined) {
    text = build({
      entryPoints: [file],
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      conditions: ['@pawl/source'],
      external: ['pg', '@electric-sql/pglite', '@opentelemetry/api'],
      // For packages in CommonJS, such as Express.
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      },
    }).then(({ outputFiles }) => outputFiles[0]?.text ?? '');
    bundles.set(file, text);
  }
  return text;
}
