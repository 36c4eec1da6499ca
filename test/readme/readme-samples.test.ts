// The samples of all pages compile against the packages, and those of the README do what its text says.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Pawl } from '@pawl/core';
import request from 'supertest';
import { expect, test, vi } from 'vitest';
import { pages, read, root, samplesIn, samplesOf } from './samples.ts';
import { payments } from './surroundings/shop.ts';
import { app } from './surroundings/your-app.ts';
import * as yourWorkflows from './surroundings/your-workflows.ts';

const { directory, save, sample, run, sql, atEnd } = samplesIn('README.md');

const existsHere = (file: string): boolean => existsSync(path.join(root, file));

test('all samples of all pages compile', { timeout: 120_000 }, async () => {
  const files: string[] = [];
  for (const page of pages) {
    for (const [index, code] of samplesOf(page).entries())
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
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
  atEnd(() => new Promise((resolve) => server.close(resolve)));
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
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
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
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
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
    .filter((file) => /\.(ts|sql|js|json)$/.test(file) && !file.startsWith('test/readme/'));
  const text = sources.filter(existsHere).map(read).join('\n');
  const missing: string[] = [];
  for (const page of ['ARCHITECTURE.md', ...pages]) {
    const prose = read(page).replaceAll(/^```.*?^```$/gms, '');
    for (const [, link = ''] of prose.matchAll(/\]\(([^)#:]+)\)/g))
      if (!existsHere(path.join(path.dirname(page), link))) missing.push(`${page}: ${link}`);
    for (const [, code = ''] of prose.matchAll(/`([^`\n]+)`/g)) {
      const isFile = /^[\w./-]+\.(ts|sql|js|md)$/.test(code);
      const known = isFile
        ? existsHere(code) || sources.some((file) => file.endsWith(`/${code}`))
        : !/^\w{4,}$/.test(code) || new RegExp(`\\b${code}\\b`).test(text);
      if (!known) missing.push(`${page}: ${code}`);
    }
  }
  expect(missing).toEqual([]);
});
