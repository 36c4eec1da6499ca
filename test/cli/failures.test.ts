// What `pawl` answers when it cannot do what it is told: one line on standard error, an exit code, nothing else.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { createDatabase, serverURL, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommandLine, createCommandLine } from './command-line.ts';

let database: TestDatabase;
let pawl: CommandLine;

async function query(text: string): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(text).finally(() => client.end());
}

async function complaint(args: string[], env: Record<string, string> = { DATABASE_URL: database.url }) {
  const { exitCode, stdout, stderr } = await pawl.run(args, { env });
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^pawl: [^\n]+\n$/);
  return { exitCode, line: stderr.slice('pawl: '.length, -1) };
}

beforeAll(async () => {
  [database, pawl] = await Promise.all([createDatabase(), createCommandLine()]);
  await pawl.run(['migrate'], { env: { DATABASE_URL: database.url } });
});

afterAll(async () => {
  await pawl?.remove();
  await database?.drop();
});

describe.concurrent('wrong use is refused with exit code 2:', () => {
  test.each([
    ['wrkflow', "unknown command 'wrkflow' (Did you mean workflow?)"],
    ['workflow lst', "unknown command 'lst' (Did you mean list?)"],
    ['workflow get', "missing required argument 'id'"],
    ['workflow list --colour', "unknown option '--colour'"],
    ['workflow list --status done', "'done' is invalid. There are: ENQUEUED, DELAYED, PENDING"],
    ['workflow list --limit 0', 'It must be a whole number from 1 to 10000.'],
    ['workflow list --since yesterday', 'It must be a time such as'],
    ['workflow list --cursor page2', 'cursor must be the one that came with the page before.'],
    ['workflow list --attribute customer', 'It must be name=value.'],
    ['workflow fork some', "required option '--from-step <n>' not specified"],
    ['send some yes', 'The message is not JSON'],
    ['send some {"$pawl":"Dat"}', 'it has a "Dat", which this version does not know'],
    ['workflow delete some', 'say --yes'],
    ['workflow list --database mysql://localhost/x', 'The database must be a URL such as postgresql://'],
    ['workflow list --database postgres://[x', 'The URL of the database is not a valid one.'],
    [`workflow list --schema ${'x'.repeat(64)}`, 'schema must be a Postgres identifier'],
  ])('%s', async (args, says) => {
    const { exitCode, line } = await complaint(args.split(' '));
    expect([exitCode, line]).toEqual([2, expect.stringContaining(says)]);
  });
});

describe.concurrent('a database that is not there is told with exit code 3:', () => {
  const server = () => new URL(serverURL());
  const changed = (change: (url: URL) => void) => {
    const url = server();
    change(url);
    return url.href;
  };

  test.each([
    ['no server', () => 'postgres://postgres@127.0.0.1:1/pawl', 'The database does not answer'],
    ['no host', () => 'postgres://postgres@nowhere.invalid/pawl', 'The database does not answer'],
    ['no such database', () => changed((url) => (url.pathname = '/nope')), 'did not let us in'],
    ['no such directory', () => './nowhere', 'There is no embedded database in "./nowhere".'],
    ['nothing said', () => '', 'Which database? Set DATABASE_URL or say --database'],
  ])('%s', async (_what, where, says) => {
    const { exitCode, line } = await complaint(['workflow', 'list'], { DATABASE_URL: where() });
    expect([exitCode, line]).toEqual([3, expect.stringContaining(says)]);
  });

  test('a password is not repeated', async () => {
    const { line } = await complaint([
      'executor',
      'list',
      '--database',
      'postgres://ada:secret@127.0.0.1:1/pawl',
    ]);
    expect(line).not.toContain('secret');
  });

  test('a directory of something else is left as it is', async () => {
    const directory = path.join(pawl.directory, 'other');
    await mkdir(directory);
    expect((await complaint(['workflow', 'list', '--database', directory])).exitCode).toBe(3);
  });
});

describe('a schema that does not fit is told with exit code 4:', () => {
  test('there is no Pawl in it', async () => {
    const { exitCode, line } = await complaint(['workflow', 'list', '--schema', 'elsewhere']);
    expect([exitCode, line]).toEqual([4, expect.stringContaining('run `npx pawl migrate`')]);
  });

  test('it is older', async () => {
    await query(
      `CREATE SCHEMA old; CREATE TABLE old.migration AS SELECT * FROM pawl.migration WHERE number = 1`,
    );
    const { exitCode, line } = await complaint(['send', 'some', '1', '--schema', 'old']);
    expect([exitCode, line]).toEqual([
      4,
      expect.stringContaining('is at migration 1, and this version of Pawl needs'),
    ]);
  });

  test.each(['migrate', 'workflow list'])('it is newer: %s', async (args) => {
    await query(`CREATE SCHEMA IF NOT EXISTS newer; CREATE TABLE IF NOT EXISTS newer.migration AS SELECT * FROM pawl.migration;
      INSERT INTO newer.migration (number, name, applied_at) VALUES (9000, 'queues', now())`);
    const { exitCode, line } = await complaint([...args.split(' '), '--schema', 'newer']);
    expect([exitCode, line]).toEqual([
      4,
      expect.stringContaining('is at migration 9000, and this version of Pawl knows'),
    ]);
  });

  test('a role that may not is told so with exit code 1', async () => {
    const role = `reader_${process.pid}`;
    await query(`CREATE ROLE ${role} LOGIN; GRANT SELECT ON pawl.workflow TO ${role}`);
    const url = new URL(database.url);
    url.username = role;
    try {
      const { exitCode, line } = await complaint(['workflow', 'list'], { DATABASE_URL: url.href });
      expect([exitCode, line]).toEqual([1, 'The database refused: permission denied for schema pawl.']);
    } finally {
      await query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});

describe.concurrent('an unknown workflow is told with exit code 5, and nothing is changed:', () => {
  test.each([
    'workflow get nobody',
    'workflow steps nobody',
    'workflow events nobody',
    'workflow cancel nobody',
    'workflow resume nobody --json',
    'workflow restart nobody',
    'workflow fork nobody --from-step 1',
    'workflow delete nobody --yes',
    'send nobody 1',
  ])('%s', async (args) => {
    expect(await complaint(args.split(' '))).toEqual({
      exitCode: 5,
      line: 'No workflow has the id "nobody".',
    });
  });
});

test('help and version are no failures; a command without its verb is', async () => {
  const { version } = (await import('../../packages/core/package.json', { with: { type: 'json' } })).default;
  expect(await pawl.run(['--version'])).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' });
  for (const args of [['--help'], ['workflow', '--help'], ['workflow', 'fork', '--help']]) {
    const { exitCode, stdout, stderr } = await pawl.run(args);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toContain('--database <url|directory>');
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(110);
  }
  const bare = await pawl.run(['workflow']);
  expect([bare.exitCode, bare.stdout]).toEqual([2, '']);
  expect(bare.stderr).toContain('Usage: pawl workflow');
});
