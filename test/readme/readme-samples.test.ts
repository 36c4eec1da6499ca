// The samples of the READMEs: all of them compile against the packages, and the main ones do what the text says.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Pawl } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import request from 'supertest';
import { afterAll, expect, test, vi } from 'vitest';
import { payments } from './surroundings/shop.ts';
import { app } from './surroundings/your-app.ts';
import * as yourWorkflows from './surroundings/your-workflows.ts';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');
const directory = mkdtempSync(path.join(here, '.samples-'));
const databases: TestDatabase[] = [];
const stops: (() => Promise<unknown>)[] = [];

const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const existsHere = (file: string): boolean => existsSync(path.join(root, file));

/** The code blocks of a page in TypeScript. */
function samplesOf(page: string): string[] {
  return [...read(page).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);
}

/** Saves a sample as a module beside the others; the files that it imports lie in `surroundings`. */
function save(name: string, code: string): string {
  const file = path.join(directory, `${name}.ts`);
  writeFileSync(file, code.replaceAll("from './", "from '../surroundings/"));
  return file;
}

/** The README's sample that has this text, with some of it replaced by what a test needs. */
function sample(has: string, replace: Record<string, string> = {}): string {
  const [code, ...others] = samplesOf('README.md').filter((block) => block.includes(has));
  if (code === undefined || others.length > 0) throw new Error(`Not exactly one sample has ${has}`);
  return Object.entries(replace).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`The sample does not have ${from}`);
    return text.replace(from, to);
  }, code);
}

/** Runs it on a database of its own. */
async function run<Exports>(name: string, code: string, tables = ''): Promise<Exports> {
  await useFreshDatabase(tables);
  return (await import(save(name, code))) as Exports;
}

async function useFreshDatabase(tables: string): Promise<void> {
  const database = await createDatabase();
  databases.push(database);
  process.env['DATABASE_URL'] = database.url;
  if (tables !== '') await sql(tables);
}

async function sql(text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: process.env['DATABASE_URL'] });
  await client.connect();
  try {
    return (await client.query(text)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

const environment = process.env['DATABASE_URL'];

afterAll(async () => {
  for (const stop of stops) await stop();
  for (const database of databases) await database.drop();
  if (environment === undefined) delete process.env['DATABASE_URL'];
  else process.env['DATABASE_URL'] = environment;
  rmSync(directory, { recursive: true, force: true });
});

const pages = [
  'README.md',
  ...readdirSync(path.join(root, 'packages')).map((name) => `packages/${name}/README.md`),
];

test('every page has samples, and all of them compile', { timeout: 120_000 }, async () => {
  const files: string[] = [];
  for (const page of pages) {
    const samples = samplesOf(page);
    expect([page, samples.length > 0]).toEqual([page, true]);
    for (const [index, code] of samples.entries())
      files.push(save(`${page.replaceAll(/[^a-z]+/gi, '-')}-${index}`, code));
  }
  const tsconfig = { extends: '../../tsconfig.json', files, include: [], references: [] };
  writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify(tsconfig));
  const tsc = path.join(
    path.dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
    'bin/tsc',
  );
  const output = await promisify(execFile)(process.execPath, [tsc, '-p', directory], { cwd: root }).then(
    () => '',
    (error: { stdout?: string }) => error.stdout ?? String(error),
  );
  expect(output).toBe('');
});

test('the checkout answers with the payment page, once per key, and ships when it is paid', async () => {
  const { server, pawl } = await run<{ server: Server; pawl: Pawl }>(
    'checkout',
    sample('app.listen(3000)', {
      'app.listen(3000)': 'export const server = app.listen(0);\nexport { pawl }',
    }),
    `CREATE TABLE stock (item text, items_left int, shipped int); INSERT INTO stock VALUES ('cup', 5, 0)`,
  );
  stops.push(
    () => pawl.shutdown({ graceSeconds: 0 }),
    () => new Promise((resolve) => server.close(resolve)),
  );
  const order = () => request(server).post('/orders').set('Idempotency-Key', 'key-1').send({ item: 'cup' });
  const first = await order().expect(200);
  expect(first.body).toMatchObject({ item: 'cup', page: expect.stringContaining('https://pay.example/') });
  const second = await order().expect(200);
  expect(second.text).toBe(first.text);
  await request(server).post('/orders').send({ item: 'cup' }).expect(400);
  expect(payments.length).toBe(1);

  const { workflows } = await pawl.listWorkflows();
  const id = workflows[0]?.workflowID as string;
  await pawl.send(id, true, 'paid');
  await pawl.retrieveWorkflow(id).getResult();
  expect(await sql('SELECT items_left, shipped FROM stock')).toEqual([{ items_left: 4, shipped: 1 }]);
});

test('one line makes a route safe to retry', async () => {
  const { pawl } = await run<{ pawl: Pawl }>(
    'express',
    `${sample('http.idempotent({ required: true }), createOrder')}export { pawl };`,
  );
  stops.push(() => pawl.shutdown({ graceSeconds: 0 }));
  const order = (user: string) =>
    request(app).post('/orders').set('x-user', user).set('Idempotency-Key', 'key-1').send({ item: 'cup' });
  expect((await order('ada').expect(201)).body).toEqual({ order: 1 });
  expect((await order('ada').expect(201)).body).toEqual({ order: 1 });
  expect((await order('bob').expect(201)).body).toEqual({ order: 2 });
  await request(app).get('/health/ready').expect(200);
});

test('a workflow starts if, and only if, the transaction commits', async () => {
  const { pawl } = yourWorkflows;
  const { placeOrder } = await run<{ placeOrder: (id: string, order: { item: string }) => Promise<unknown> }>(
    'outbox',
    sample('placeOrder'),
    'CREATE TABLE orders (id text PRIMARY KEY, body jsonb)',
  );
  await pawl.launch();
  stops.push(() => pawl.shutdown({ graceSeconds: 0 }));
  await placeOrder('order-1', { item: 'cup' });
  expect(await pawl.retrieveWorkflow('order-1').getResult()).toBe('one cup');
  await sql(`INSERT INTO orders VALUES ('order-2')`);
  await expect(placeOrder('order-2', { item: 'cup' })).rejects.toMatchObject({ code: '23505' });
  expect(await pawl.getWorkflowStatus('order-2')).toBeNull();
});

test('thirty days pass in a test', async () => {
  const said = vi.spyOn(console, 'log').mockImplementation(() => {});
  try {
    await run('trial', sample('TestClock'));
    expect(said).toHaveBeenCalledWith('ask ada for money');
  } finally {
    said.mockRestore();
  }
});

test('what ARCHITECTURE.md and the READMEs name is there', () => {
  const sources = execFileSync('git', ['ls-files', 'packages', 'test', 'examples'], {
    cwd: root,
    encoding: 'utf8',
  })
    .split('\n')
    .filter((file) => /\.(ts|sql|json)$/.test(file) && !file.startsWith('test/readme/'));
  const text = sources.filter(existsHere).map(read).join('\n');
  const missing: string[] = [];
  for (const page of ['ARCHITECTURE.md', ...pages]) {
    const prose = read(page).replaceAll(/^```.*?^```$/gms, '');
    const places = ['.', path.dirname(page), 'packages/core', 'examples/widget-store'].concat(
      ['', '/engine', '/store'].map((folder) => `packages/core/src${folder}`),
    );
    for (const [, link = ''] of prose.matchAll(/\]\(([^)#:]+)\)/g))
      if (!existsHere(path.join(path.dirname(page), link))) missing.push(`${page}: ${link}`);
    for (const [, code = ''] of prose.matchAll(/`([^`\n]+)`/g)) {
      const isFile = /^[\w./-]+\.(ts|sql|js|md)$/.test(code);
      const known = isFile
        ? places.some((place) => existsHere(path.join(place, code)))
        : !/^\w{4,}$/.test(code) || new RegExp(`\\b${code}\\b`).test(text);
      if (!known) missing.push(`${page}: ${code}`);
    }
  }
  expect(missing).toEqual([]);
});
