// An embedded directory belongs to one process.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWorkers, type Workers, within } from './workers.ts';

let directory: string;
let workers: Workers;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'pawl-embedded-'));
  workers = createWorkers(path.join(directory, 'database'));
});

afterAll(async () => {
  await workers.end();
  await rm(directory, { recursive: true, force: true });
});

test('a second process is refused at once, by name; after a crash of the first the next one goes on', async () => {
  const first = await workers.start();
  await first.call('start', 'receiver', 'kept');
  await workers.noted('kept', 'before');

  await within(2000, 3, 'refused after', async () => {
    const second = await workers.open();
    const begun = Date.now();
    await expect(second.call('launch')).rejects.toThrow(`in use by process ${first.pid}`);
    await second.kill();
    return Date.now() - begun;
  });

  await first.kill();
  const third = await workers.start();
  await third.call('send', 'kept', 'message');
  expect(await third.call('result', 'kept')).toBe('message');
  expect(workers.notes('kept', 'before')).toHaveLength(1);
}, 60_000);
