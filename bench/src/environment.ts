// What a figure depends on besides the code: machine, server settings, versions. Reads only.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { withClient } from './database.ts';
import { restateBinary } from './peers/installed-apart.ts';

export interface Environment {
  /** Of this repository; with a + if something was changed since. */
  commit: string;
  machine: { cpu: string; cores: number; memoryGiB: number; platform: string };
  server: Record<string, string>;
  versions: Record<string, string>;
}

// Those that decide what a commit costs.
const settings = [
  'server_version',
  'fsync',
  'synchronous_commit',
  'full_page_writes',
  'wal_sync_method',
  'shared_buffers',
  'max_wal_size',
  'max_connections',
];

export async function describeEnvironment(serverUrl: string): Promise<Environment> {
  const cpus = os.cpus();
  const server = await withClient(serverUrl, async (client) => {
    const { rows } = await client.query<{ name: string; value: string }>(
      'select name, current_setting(name) as value from unnest($1::text[]) as wanted (name)',
      [settings],
    );
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
  });
  return {
    commit: await commitOf(import.meta.dirname),
    machine: {
      cpu: cpus[0]?.model ?? 'unknown',
      cores: cpus.length,
      memoryGiB: Math.round(os.totalmem() / 2 ** 30),
      platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    },
    server,
    versions: {
      node: process.versions.node,
      '@pawl/core': await versionOf('@pawl/core'),
      '@dbos-inc/dbos-sdk': await versionOf('@dbos-inc/dbos-sdk'),
      '@restatedev/restate-sdk': await versionOf('@restatedev/restate-sdk'),
      'restate-server': await versionOfRestate(),
      openworkflow: await versionOf('openworkflow'),
      'graphile-worker': await versionOf('graphile-worker'),
      'pg-boss': await versionOf('pg-boss'),
      'absurd-sdk': await versionOf('absurd-sdk'),
      pg: await versionOf('pg'),
    },
  };
}

export function renderEnvironment({ machine, server, versions }: Environment): string {
  const list = (values: Record<string, string>): string =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  return [
    `machine   ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}`,
    `server    ${list(server)}`,
    `versions  ${list(versions)}`,
  ].join('\n');
}

async function commitOf(directory: string): Promise<string> {
  const git = async (...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)('git', args, { cwd: directory });
    return stdout.trim();
  };
  try {
    return (
      (await git('rev-parse', '--short', 'HEAD')) + ((await git('status', '--porcelain')) === '' ? '' : '+')
    );
  } catch {
    return 'unknown';
  }
}

async function versionOfRestate(): Promise<string> {
  const binary = restateBinary();
  if (binary === undefined) return 'none';
  const { stdout } = await promisify(execFile)(binary, ['--version']);
  return /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? 'unknown';
}

/** Looked up from the package's entry, because not every package exports its package.json. */
async function versionOf(name: string): Promise<string> {
  let directory = path.dirname(fileURLToPath(import.meta.resolve(name)));
  while (directory !== path.dirname(directory)) {
    const found = await readFile(path.join(directory, 'package.json'), 'utf8').then(
      (text) => JSON.parse(text) as { name?: string; version?: string },
      () => undefined,
    );
    if (found?.name === name) return found.version ?? 'unknown';
    directory = path.dirname(directory);
  }
  return 'unknown';
}
