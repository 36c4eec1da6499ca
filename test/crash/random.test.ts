// Workflows on several processes that are killed, stopped, paused and cut off from the database, in random order:
// what comes out is what comes out without.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Program, startProgram } from '../processes-suite/process.ts';
import type { Outcome, Shop } from './processes/shop.ts';

const SHOP = new URL('processes/shop.ts', import.meta.url);
const PROCESSES = 3;
const AT_ONCE = 20;
const DISTURBANCES = 8;
const LEASE_SECONDS = 1;

let database: TestDatabase;
const directory = mkdtempSync(path.join(tmpdir(), 'pawl-random-'));
const living = new Set<Program<Shop>>();

beforeAll(async () => {
  writeFileSync(path.join(directory, 'runs.log'), '');
  database = await createDatabase();
  await Promise.all(Array.from({ length: PROCESSES }, start));
});

afterAll(async () => {
  await Promise.all([...living].map((shop) => shop.kill()));
  await database.drop();
  rmSync(directory, { recursive: true, force: true });
});

async function start(): Promise<void> {
  const shop = await startProgram<Shop>(SHOP, {
    DATABASE: database.url,
    LOG: path.join(directory, 'runs.log'),
    PARK_AFTER_SECONDS: '0.03',
    LEASE_SECONDS: String(LEASE_SECONDS),
  });
  await shop.call('ready');
  living.add(shop);
}

function anyone(): Program<Shop> {
  const all = [...living];
  return all[Math.floor(Math.random() * all.length)] as Program<Shop>;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const disturbances = {
  killed: async () => {
    const shop = anyone();
    living.delete(shop);
    await shop.kill();
    await start();
  },
  stopped: async () => {
    const shop = anyone();
    living.delete(shop);
    await shop.call('leave');
    await shop.kill();
    await start();
  },
  paused: async () => {
    const shop = anyone();
    await shop.kill('SIGSTOP');
    await pause(LEASE_SECONDS * 1000 * (0.5 + 1.5 * Math.random()));
    await shop.kill('SIGCONT');
  },
  'cut off': async () => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < $1`,
      [Math.random()],
    );
    await client.end();
  },
};

/** Asks again, somebody else perhaps, until there is an answer: that is what a client has to do. */
async function drive(row: string): Promise<Outcome> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await anyone().call('drive', row);
    } catch (error) {
      if (attempt > 100) throw error;
      await pause(20 + 80 * Math.random());
    }
  }
}

test('workflows come to their one result whatever happens to the processes', async () => {
  const undisturbed = await drive('undisturbed');
  let over = false;
  let rows = 0;
  const outcomes: Outcome[] = [];
  const work = async () => {
    while (!over) outcomes.push(await drive(`row-${rows++}`));
  };
  const disturb = async () => {
    const kinds = Object.keys(disturbances) as (keyof typeof disturbances)[];
    const told: string[] = [];
    try {
      for (let i = 0; i < DISTURBANCES; i++) {
        const kind = kinds[(i + Math.floor(Math.random() * 2)) % kinds.length] as (typeof kinds)[0];
        await pause(50 + Math.random() * 200);
        await disturbances[kind]();
        told.push(kind);
      }
    } finally {
      over = true;
    }
    return told;
  };
  const [told] = await Promise.all([disturb(), ...Array.from({ length: AT_ONCE }, work)]);
  console.log(`${rows} workflows with processes ${told.join(', ')}`);
  for (const outcome of outcomes) expect(outcome).toEqual(undisturbed);
}, 90_000);
