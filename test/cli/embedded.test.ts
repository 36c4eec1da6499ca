// `pawl` on the directory of an embedded database: while nobody holds it, and while somebody does.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWorkers, type Workers } from '../processes-suite/workers.ts';
import { type CommandLine, createCommandLine } from './command-line.ts';

let home: string;
let directory: string;
let pawl: CommandLine;
let workers: Workers;

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'pawl-cli-embedded-'));
  directory = path.join(home, 'database');
  pawl = await createCommandLine();
  workers = createWorkers(directory);
});

afterAll(async () => {
  await workers?.end();
  await pawl?.remove();
  await rm(home, { recursive: true, force: true });
});

test('looks and intervenes while nobody holds the directory, and says who does', async () => {
  const where = ['--database', directory];
  expect((await pawl.run(['workflow', 'list', ...where])).exitCode).toBe(3);
  expect(await readdir(home)).toEqual([]);
  expect((await pawl.run(['migrate', ...where])).stdout).toMatch(/^Schema "pawl": applied tables, /);

  const worker = await workers.start();
  await worker.call('start', 'receiver', 'kept');
  await workers.noted('kept', 'before');
  expect(await pawl.run(['workflow', 'get', 'kept', ...where])).toEqual({
    exitCode: 3,
    stdout: '',
    stderr: expect.stringMatching(new RegExp(`^pawl: .* in use by process ${worker.pid}\\. .*\\n$`)),
  });
  await worker.kill();

  expect(await pawl.json(['executor', 'list', '--all', ...where])).toMatchObject({
    executors: [{ pid: worker.pid, alive: false }],
  });
  expect(await pawl.json(['send', 'kept', '"message"', '--topic', 'go', ...where])).toBeDefined();
  const next = await workers.start();
  expect(await next.call('result', 'kept')).toBe('message');
}, 180_000);
