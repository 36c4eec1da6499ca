// Vitest's global setup. The Postgres server of a test run: DATABASE_URL if it is set, else one that lives as long as the
// run; tests reach it through database.ts only. And the widget store, built: it runs in processes of its own.
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { startPostgres } from './postgres.ts';

export async function setup(): Promise<(() => Promise<void>) | undefined> {
  // Once for all groups of the run.
  if (process.env['PAWL_TEST_SERVER_URL']) return undefined;
  await buildShop();
  const given = process.env['DATABASE_URL'];
  if (given) {
    process.env['PAWL_TEST_SERVER_URL'] = given;
    return undefined;
  }
  const server = await startPostgres();
  process.env['PAWL_TEST_SERVER_URL'] = server.url;
  return () => server[Symbol.asyncDispose]();
}

async function buildShop(): Promise<void> {
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json');
  const shop = path.resolve(import.meta.dirname, '../../examples/widget-store');
  const tsc = path.join(path.dirname(compiler), 'bin/tsc');
  await promisify(execFile)(process.execPath, [tsc, '-b', shop]).catch((error: { stdout?: string }) => {
    throw new Error(`The widget store does not compile:\n${error.stdout || String(error)}`);
  });
}
