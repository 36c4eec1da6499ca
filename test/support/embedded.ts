// A fresh PGlite in memory. To make an empty cluster takes it seconds of work, to load one a fraction of that: the
// first one that is made is kept in node_modules/.cache, for this version of PGlite.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';

const cache = fileURLToPath(new URL('../../node_modules/.cache/pawl-test', import.meta.url));

export async function createEmbedded(): Promise<PGlite> {
  const file = path.join(cache, `pglite-${versionOfPGlite()}.tar`);
  let kept: Buffer<ArrayBuffer>;
  try {
    kept = readFileSync(file);
  } catch {
    const first = await PGlite.create('memory://');
    const dump = await first.dumpDataDir('none');
    mkdirSync(cache, { recursive: true });
    // Whoever looks meanwhile finds all of it or nothing.
    const mine = `${file}.${process.pid}`;
    writeFileSync(mine, Buffer.from(await dump.arrayBuffer()));
    renameSync(mine, file);
    return first;
  }
  return PGlite.create('memory://', { loadDataDir: new Blob([kept]) });
}

function versionOfPGlite(): string {
  const entry = createRequire(import.meta.url).resolve('@electric-sql/pglite');
  const manifest = path.join(entry.slice(0, entry.lastIndexOf(`${path.sep}dist${path.sep}`)), 'package.json');
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
