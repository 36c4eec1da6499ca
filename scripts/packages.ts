// Packs each published package as a release would, and has publint and attw judge what a user would install.
// It expects the packages to be built.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

async function check(directory: string, scratch: string): Promise<string> {
  const target = path.join(scratch, path.basename(directory));
  await run('pnpm', ['pack', '--pack-destination', target], { cwd: directory });
  const [file] = await readdir(target);
  if (file === undefined) throw new Error(`Nothing was packed from ${directory}.`);
  const tarball = path.join(target, file);
  await run('publint', ['run', tarball, '--strict']);
  // Everything is ESM: how a CommonJS project without `require(esm)` would fare is no fault.
  await run('attw', [tarball, '--profile', 'esm-only']);
  return file;
}

const scratch = await mkdtemp(path.join(tmpdir(), 'pawl-packages-'));
try {
  for (const name of await readdir('packages')) {
    const directory = path.resolve('packages', name);
    const manifest = await readFile(path.join(directory, 'package.json'), 'utf8').catch(() => undefined);
    if (manifest === undefined || (JSON.parse(manifest) as { private?: boolean }).private) continue;
    try {
      console.log(`${await check(directory, scratch)}: fit to publish`);
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
      console.log(`${name}: not fit to publish\n${`${stdout}${stderr}` || String(error)}`);
      process.exitCode = 1;
    }
  }
} finally {
  await rm(scratch, { recursive: true, force: true });
}
