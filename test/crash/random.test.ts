// Many workflows on several processes, one of which is killed every moment: what comes out is what comes out without.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Program, startProgram } from '../processes-suite/process.ts';
import type { Shop } from './processes/shop.ts';

const SHOP = new URL('processes/shop.ts', import.meta.url);
const PROCESSES = 3;
const ROWS = 60;
const KILLS = 8;

let database: TestDatabase;
const directory = mkdtempSync(path.join(tmpdir(), 'pawl-random-'));
const log = path.join(directory, 'runs.log');
const living = new Set<Program<Shop>>();

const start = async (): Promise<void> => {
  const shop = await startProgram<Shop>(SHOP, {
    DATABASE: database.url,
    LOG: log,
    PARK_AFTER_SECONDS: '0.03',
  });
  await shop.call('ready');
  living.add(shop);
};

const anyone = async (): Promise<Program<Shop>> => {
  await expect.poll(() => living.size, { interval: 5 }).toBeGreaterThan(0);
  const all = [...living];
  return all[Math.floor(Math.random() * all.length)] as Program<Shop>;
};

beforeAll(async () => {
  writeFileSync(log, '');
  database = await createDatabase();
  await Promise.all(Array.from({ length: PROCESSES }, start));
});

afterAll(async () => {
  await Promise.all([...living].map((shop) => shop.kill()));
  await database.drop();
  rmSync(directory, { recursive: true, force: true });
});

test('workflows come to their one result while processes die at random', async () => {
  const undisturbed = await (await anyone()).call('drive', 'undisturbed');
  let killing = true;
  const drive = async (row: string) => {
    for (;;) {
      const shop = await anyone();
      try {
        return await shop.call('drive', row);
      } catch (error) {
        if (!/process ended|[Cc]hannel closed|EPIPE/.test((error as Error).message)) throw error;
      }
    }
  };
  const outcomes = Promise.all(Array.from({ length: ROWS }, (_, i) => drive(`row-${i}`))).finally(() => {
    killing = false;
  });
  const kill = async () => {
    for (let i = 0; i < KILLS && killing; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 300));
      const victim = await anyone();
      living.delete(victim);
      await victim.kill();
      await start();
    }
  };
  await Promise.all([outcomes, kill()]);
  for (const outcome of await outcomes) expect(outcome).toEqual(undisturbed);
}, 90_000);
