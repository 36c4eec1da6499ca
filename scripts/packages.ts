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

interface Manifest {
  private?: boolean;
  exports: Record<string, { types?: string } | string>;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
}

/** Packages that the declarations lead to, though a user may not have them: without `skipLibCheck` that is an error. */
async function missingTypes(directory: string, manifest: Manifest): Promise<string[]> {
  const { exports, dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = manifest;
  const installed = [...Object.keys(dependencies), ...Object.keys(peerDependencies)].filter(
    (name) => peerDependenciesMeta[name]?.optional !== true,
  );
  const files = Object.values(exports).flatMap((entry) => (typeof entry === 'object' && entry.types) || []);
  const waiting = files.map((file) => path.join(directory, file));
  const seen = new Set<string>();
  const missing = new Set<string>();
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const text = (await readFile(file, 'utf8')).replaceAll(/\/\*.*?\*\//gs, '');
    for (const [, from = ''] of text.matchAll(/(?:from |import\()'([^']+)'/g)) {
      if (from.startsWith('.'))
        waiting.push(path.join(path.dirname(file), from.replace(/\.[jt]s$/, '.d.ts')));
      else if (
        !from.startsWith('node:') &&
        !installed.some((name) => from === name || from.startsWith(`${name}/`))
      )
        missing.add(`${path.relative(directory, file)}: ${from}`);
    }
  }
  return [...missing];
}

const scratch = await mkdtemp(path.join(tmpdir(), 'pawl-packages-'));
try {
  for (const name of await readdir('packages')) {
    const directory = path.resolve('packages', name);
    const manifest = await readFile(path.join(directory, 'package.json'), 'utf8').catch(() => undefined);
    if (manifest === undefined || (JSON.parse(manifest) as Manifest).private) continue;
    try {
      const missing = await missingTypes(directory, JSON.parse(manifest) as Manifest);
      if (missing.length > 0)
        throw new Error(`Types of packages that need not be there:\n${missing.join('\n')}`);
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
