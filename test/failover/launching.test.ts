// A launch that meets trouble: what the database refuses, what breaks under it, and an end while the database is silent.
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { Pawl, type PawlConfig } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cut, type Proxy, startProxy } from './proxy.ts';

let database: TestDatabase;
let admin: pg.Client;

beforeAll(async () => {
  database = await createDatabase();
  admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
});

afterAll(async () => {
  await admin.end();
  await database.drop();
});

function create(url: string, config: PawlConfig = {}): Pawl {
  const pawl = new Pawl({ database: url, logger: quiet, ...config });
  pawl.registerWorkflow(async (n: number) => pawl.runStep(() => n, { name: 'echo' }), { name: 'echo' });
  return pawl;
}

describe('what is refused is a ConfigurationError that says what to do:', () => {
  const role = `launcher_${process.pid}`;
  const as = (change: (url: URL) => void): string => {
    const url = new URL(database.url);
    change(url);
    return url.href;
  };
  const refusal = async (url: string, config?: PawlConfig): Promise<string> => {
    const pawl = create(url, config);
    const error: unknown = await pawl.launch().catch((reason: unknown) => reason);
    expect(pawl.state).toBe('idle');
    expect(error).toMatchObject({ name: 'ConfigurationError', code: 'PAWL_CONFIGURATION' });
    return (error as Error).message;
  };

  beforeAll(async () => {
    await admin.query(`CREATE ROLE ${role} LOGIN`);
    await admin.query(`REVOKE CREATE ON DATABASE "${new URL(database.url).pathname.slice(1)}" FROM PUBLIC`);
  });

  afterAll(() => admin.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`));

  test('a role or a database that is not there', async () => {
    expect(await refusal(as((url) => (url.username = 'nobody_at_all')))).toContain('user and password');
    expect(await refusal(as((url) => (url.pathname = '/nowhere_at_all')))).toContain('Create it');
  });

  test('a role that may not migrate, and one that may not use what others migrated', async () => {
    const url = as((each) => (each.username = role));
    expect(await refusal(url)).toContain('`npx pawl migrate`');
    expect(await refusal(url, { migrate: false })).toContain('has no migrations');
    const owner = create(database.url);
    await owner.launch();
    await owner.shutdown();
    expect(await refusal(url, { migrate: false })).toContain('USAGE on the schema');
    await admin.query(`GRANT USAGE ON SCHEMA pawl TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pawl TO ${role}`);
    expect(await refusal(url, { migrate: false })).toContain('sequences');
    await admin.query(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA pawl TO ${role}`);
    const pawl = create(url, { migrate: false });
    await pawl.launch();
    expect(await (await pawl.startWorkflow<number>('echo')(7)).getResult()).toBe(7);
    await pawl.shutdown();
  });

  test('a server without a connection left is unavailable, at launch and not after it', async () => {
    const url = as((each) => (each.username = role));
    for (const limit of [0, 1, 2, 3]) {
      await admin.query(`ALTER ROLE ${role} CONNECTION LIMIT ${limit}`);
      const pawl = create(url, { migrate: false });
      await expect(pawl.launch()).rejects.toMatchObject({
        name: 'DatabaseUnavailableError',
        message: expect.stringContaining('no connection left'),
      });
      expect(pawl.state).toBe('idle');
    }
  });
});

test.concurrent('a connection that is lost at any request of a launch makes it fail, or not; the next one finds nothing half written', async () => {
  const proxy: Proxy = await startProxy(database.url);
  const requests: string[] = [];
  proxy.judge = (text) => void requests.push(text);
  const first = create(proxy.url, { schema: 'undisturbed' });
  await first.launch();
  await first.shutdown();
  const cuts: [nth: number, when: Cut][] = Array.from({ length: 5 }, (_, i) => [
    Math.round(1 + (i * (requests.length - 1)) / 4),
    i % 2 === 0 ? 'after' : 'before',
  ]);
  const commit = requests.indexOf('COMMIT') + 1;
  expect(commit).toBeGreaterThan(0);
  for (const [i, [nth, when]] of [...cuts, [commit, 'after'] as const].entries()) {
    const schema = `cut_${i}`;
    let left = nth;
    proxy.judge = () => (--left === 0 ? when : undefined);
    const pawl = create(proxy.url, { schema });
    await pawl.launch().catch((error: unknown) => {
      expect(error).toMatchObject({ name: 'DatabaseUnavailableError' });
    });
    await pawl.shutdown();
    await pawl.launch();
    expect(await (await pawl.startWorkflow<number>('echo')(i)).getResult()).toBe(i);
    await pawl.shutdown();
  }
  await proxy.close();
}, 60_000);

/** Passes everything on until it falls silent: nothing comes through any more, and nobody hangs up. */
async function startSilencer(target: string): Promise<{ url: string; silence(): void; close(): void }> {
  const { hostname, port } = new URL(target);
  const sockets: Socket[] = [];
  let silent = false;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
    sockets.push(client, upstream);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('error', () => {});
      from.on('data', (data) => silent || to.write(data));
      from.on('end', () => silent || to.end());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    silence: () => (silent = true),
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test.concurrent('a database that falls silent does not hold up the end of a process', async () => {
  const silencer = await startSilencer(database.url);
  const pawl = create(silencer.url, { schema: 'silent' });
  pawl.registerWorkflow(() => pawl.runStep(() => new Promise(() => {}), { name: 'endless' }), {
    name: 'endless',
  });
  await pawl.launch();
  await pawl.startWorkflow('endless')();
  silencer.silence();
  // A tick is under way, and so is a start that nobody will answer.
  const start = pawl
    .startWorkflow('echo')(1)
    .catch(() => {});
  const begun = performance.now();
  await pawl.shutdown({ graceSeconds: 0.1 });
  // A connection is given up for dead after twenty seconds of silence, and TCP would take minutes.
  expect(performance.now() - begun).toBeLessThan(18_000);
  silencer.close();
  await start;
}, 60_000);
