import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { expect, test } from 'vitest';
import { startPostgres } from './postgres.ts';

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

test('a server keeps its URL and its committed data over a stop and over a crash', async () => {
  await using server = await startPostgres({ max_connections: '20' });
  await query(server.url, 'CREATE TABLE kept AS SELECT 1 AS one');
  await server.stop();
  await expect(query(server.url, 'SELECT 1')).rejects.toThrow();
  await server.start();
  await server.kill();
  await server.start();
  expect(await query(server.url, 'SELECT * FROM kept')).toEqual([{ one: 1 }]);
  expect(await query(server.url, 'SHOW max_connections')).toEqual([{ max_connections: '20' }]);
});

test('a server ends and its directory goes when the process that started it is killed', async () => {
  const source = `
    const { startPostgres } = await import(${JSON.stringify(new URL('./postgres.ts', import.meta.url).href)});
    const server = await startPostgres();
    console.log(server.url);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const url = line.toString().trim();
  const rows = await query(url, 'SHOW data_directory');
  const { data_directory: directory } = rows[0] as { data_directory: string };
  child.kill('SIGKILL');

  await expect.poll(() => stat(directory).catch(() => 'gone'), { timeout: 10_000 }).toBe('gone');
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'args']);
  expect(stdout).not.toContain(directory);
});
