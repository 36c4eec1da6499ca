// What `pawl` answers when it cannot do what it is told: one line on standard error, an exit code, nothing else. One of
// each kind in a process of its own; the others in this one, which is quicker.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDatabase, serverURL, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, createCommandLine, runHere } from './command-line.ts';

let database: TestDatabase;

async function query(text: string): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(text).finally(() => client.end());
}

function complaint({ exitCode, stdout, stderr }: Answer): { exitCode: number | null; line: string } {
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^pawl: [^\n]+\n$/);
  return { exitCode, line: stderr.slice('pawl: '.length, -1) };
}

/** The answer to a command that names its database itself, or means that of the test. */
async function refusal(...args: string[]): Promise<[number | null, string]> {
  const where = args.includes('--database') ? [] : ['--database', database.url];
  const { exitCode, line } = complaint(await runHere([...args, ...where]));
  return [exitCode, line];
}

beforeAll(async () => {
  database = await createDatabase();
  expect((await runHere(['migrate', '--database', database.url])).exitCode).toBe(0);
  await query(`CREATE SCHEMA old; CREATE TABLE old.migration AS SELECT * FROM pawl.migration WHERE number = 1;
    CREATE SCHEMA newer; CREATE TABLE newer.migration AS SELECT * FROM pawl.migration;
    INSERT INTO newer.migration (number, name, applied_at) VALUES (9000, 'queues', now())`);
});

afterAll(() => database?.drop());

test('a process ends with the exit code, one line, and no stack', async () => {
  const pawl = await createCommandLine();
  const env = { DATABASE_URL: database.url };
  try {
    const answers = await Promise.all([
      pawl.run(['workflow', 'lst'], { env }),
      pawl.run(['workflow', 'list'], { env: { DATABASE_URL: 'postgres://postgres@127.0.0.1:1/pawl' } }),
      pawl.run(['workflow', 'list', '--schema', 'elsewhere'], { env }),
      pawl.run(['workflow', 'get', 'nobody', '--json'], { env }),
      pawl.run(['workflow', 'list']),
    ]);
    expect(answers.map(complaint)).toEqual([
      { exitCode: 2, line: "unknown command 'lst' (Did you mean list?)" },
      { exitCode: 3, line: expect.stringMatching(/^The database does not answer \(connect ECONNREFUSED/) },
      { exitCode: 4, line: expect.stringContaining('There is no Pawl in the schema "elsewhere"') },
      { exitCode: 5, line: 'No workflow has the id "nobody".' },
      { exitCode: 3, line: expect.stringMatching(/^Which database\? Set DATABASE_URL or say --database/) },
    ]);
  } finally {
    await pawl.remove();
  }
});

describe('wrong use is refused with exit code 2:', () => {
  test.each([
    ['wrkflow', "unknown command 'wrkflow' (Did you mean workflow?)"],
    ['workflow lst', "unknown command 'lst' (Did you mean list?)"],
    ['queue pause', "missing required argument 'name'"],
    ['queue paus mail', "unknown command 'paus' (Did you mean pause?)"],
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
    ['workflow list --database ', 'The value of --database is empty.'],
    ['workflow list --database mysql://localhost/x', 'The database must be a URL such as postgresql://'],
    ['workflow list --database postgres://[x', 'The URL of the database is not a valid one.'],
    [`workflow list --schema ${'x'.repeat(64)}`, 'schema must be a Postgres identifier'],
  ])('%s', async (args, says) => {
    expect(await refusal(...args.split(' '))).toEqual([2, expect.stringContaining(says)]);
  });
});

describe('a database that is not there is told with exit code 3:', () => {
  test.each([
    ['no server', 'postgres://postgres@127.0.0.1:1/pawl', 'The database does not answer'],
    ['no host', 'postgres://postgres@nowhere.invalid/pawl', 'The database does not answer'],
    ['no such directory', './nowhere', 'There is no embedded database in "./nowhere".'],
  ])('%s', async (_what, where, says) => {
    expect(await refusal('workflow', 'list', '--database', where)).toEqual([
      3,
      expect.stringContaining(says),
    ]);
  });

  test('no such database', async () => {
    const url = new URL(serverURL());
    url.pathname = '/nope';
    expect(await refusal('workflow', 'list', '--database', url.href)).toEqual([
      3,
      'The database did not let us in: database "nope" does not exist.',
    ]);
  });

  test('a password is not repeated', async () => {
    const [, line] = await refusal(
      'executor',
      'list',
      '--database',
      'postgres://ada:secret@127.0.0.1:1/pawl',
    );
    expect(line).not.toContain('secret');
  });

  test('a directory of something else is left as it is', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'pawl-other-'));
    try {
      expect((await refusal('workflow', 'list', '--database', directory))[0]).toBe(3);
      expect(await readdir(directory)).toEqual([]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

test('a schema that does not fit is told with exit code 4: there is no Pawl in it, or an older, or a newer one', async () => {
  for (const [args, says] of [
    ['workflow list --schema elsewhere', 'run `npx pawl migrate`'],
    ['send some 1 --schema old', 'is at migration 1, and this version of Pawl needs'],
    ['workflow list --schema newer', 'is at migration 9000, and this version of Pawl knows'],
    ['migrate --schema newer', 'is at migration 9000, and this version of Pawl knows'],
  ] as const)
    expect(await refusal(...args.split(' '))).toEqual([4, expect.stringContaining(says)]);
});

test('a role that may not is told so with exit code 1', async () => {
  const role = `reader_${process.pid}`;
  await query(`CREATE ROLE ${role} LOGIN; GRANT SELECT ON pawl.workflow TO ${role}`);
  const url = new URL(database.url);
  url.username = role;
  try {
    expect(await refusal('workflow', 'list', '--database', url.href)).toEqual([
      1,
      'The database refused: permission denied for schema pawl.',
    ]);
  } finally {
    await query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

describe('an unknown workflow is told with exit code 5, and nothing is changed:', () => {
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
    expect(await refusal(...args.split(' '))).toEqual([5, 'No workflow has the id "nobody".']);
  });
});

test('an unknown queue is told with exit code 5', async () => {
  for (const args of ['queue pause nowhere', 'queue resume nowhere --json'])
    expect(await refusal(...args.split(' '))).toEqual([
      5,
      'No queue has the name "nowhere". `pawl queue list` shows all.',
    ]);
});

test('help and version are no failures; a command without its verb is', async () => {
  const manifest = await readFile(new URL('../../packages/core/package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  expect(await runHere(['--version'])).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' });
  for (const args of [
    '--help',
    'workflow --help',
    'workflow fork --help',
    'queue --help',
    'executor list --help',
  ]) {
    const { exitCode, stdout, stderr } = await runHere(args.split(' '));
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toContain('--database <url|directory>');
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(110);
  }
  const bare = await runHere(['workflow']);
  expect([bare.exitCode, bare.stdout]).toEqual([2, '']);
  expect(bare.stderr).toContain('Usage: pawl workflow');
});
