// Schedules that tick every second, on processes that are killed. PAWL_SCHEDULE_SECONDS=60 goes on for a minute.
import { setTimeout as pause } from 'node:timers/promises';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Program, startProgram } from '../processes-suite/process.ts';
import type { Ticker } from './processes/ticker.ts';

const SECONDS = Number(process.env['PAWL_SCHEDULE_SECONDS'] ?? 5);
const FILE = new URL('processes/ticker.ts', import.meta.url);

let database: TestDatabase;
let pool: pg.Pool;
let programs: Program<Ticker>[] = [];

beforeAll(async () => {
  database = await createDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
  pool.on('error', () => {});
  await pool.query('CREATE TABLE noted (mode text, tick timestamptz, started timestamptz)');
});

afterAll(async () => {
  await Promise.all(programs.map((program) => program.kill()));
  await pool.end();
  await database.drop();
});

const start = async (): Promise<Program<Ticker>> => {
  const program = await startProgram<Ticker>(FILE, { DATABASE: database.url });
  programs.push(program);
  await program.call('launch');
  return program;
};

interface Note {
  tick: number;
  started: number;
}

const notes = async (mode: 'catch-up' | 'skip-missed'): Promise<Note[]> => {
  const { rows } = await pool.query<{ tick: Date; started: Date }>(
    'SELECT tick, started FROM noted WHERE mode = $1 ORDER BY tick',
    [mode],
  );
  return rows.map(({ tick, started }) => ({ tick: tick.getTime(), started: started.getTime() }));
};

const clock = async (): Promise<number> => {
  const { rows } = await pool.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return rows[0]?.now.getTime() ?? Number.NaN;
};

/** Everything that was begun is through, and a tick after that instant is there. */
const until = (instant: number) =>
  expect
    .poll(
      async () => {
        const { rows } = await pool.query<{ open: string }>(
          `SELECT count(*) AS open FROM pawl.workflow WHERE status <> 'SUCCESS' AND created_at < $1`,
          [new Date(instant)],
        );
        const ticks = await notes('catch-up');
        return rows[0]?.open === '0' && (ticks.at(-1)?.tick ?? 0) > instant;
      },
      { timeout: 60_000, interval: 100 },
    )
    .toBe(true);

const everySecond = (ticks: readonly Note[], to: number): number[] => {
  const first = ticks[0]?.tick ?? Number.NaN;
  return Array.from({ length: Math.floor((to - first) / 1000) + 1 }, (_, n) => first + n * 1000);
};

test(
  'three processes, of which one after the other is killed, run each tick once and lose none',
  { timeout: 60_000 + 3000 * SECONDS },
  async () => {
    await Promise.all([start(), start(), start()]);
    const begun = await clock();
    for (let now = begun; now < begun + SECONDS * 1000; now = await clock()) {
      await pause(500 + Math.random() * 1500);
      await programs.shift()?.kill();
      await start();
    }
    const ended = await clock();
    await until(ended);
    const ticks = (await notes('catch-up')).filter(({ tick }) => tick <= ended);
    expect(ticks.map(({ tick }) => tick)).toEqual(everySecond(ticks, ended));
    expect(ticks.length).toBeGreaterThanOrEqual(SECONDS);
    for (const { tick, started } of ticks) expect(started).toBeGreaterThanOrEqual(tick);
    const late = ticks.map(({ tick, started }) => started - tick).sort((one, other) => one - other);
    console.log(
      `${ticks.length} ticks, started after ${late[late.length >> 1]} ms, at most ${late.at(-1)} ms`,
    );
    // An alarm, and not the next look: those come twice a second.
    expect(late[late.length >> 1]).toBeLessThan(100);
    // With the two living ones nobody missed the others.
    const others = (await notes('skip-missed')).filter(({ tick }) => tick <= ended);
    expect(others.map(({ tick }) => tick)).toEqual(everySecond(others, ended));
  },
);

test('ticks while no process lives are skipped, or caught up with as soon as one does', async () => {
  if (programs.length === 0) await start();
  await until(await clock());
  await Promise.all(programs.map((program) => program.kill()));
  programs = [];
  const down = await clock();
  // Two full seconds begin meanwhile, and with each a tick.
  await pause(1000 * (Math.floor(down / 1000) + 2) - down + 100);
  const up = await clock();
  await start();
  const launched = await clock();
  await until(launched);
  const caught = (await notes('catch-up')).filter(({ tick }) => tick <= launched);
  expect(caught.map(({ tick }) => tick)).toEqual(everySecond(caught, launched));
  const between = (await notes('skip-missed')).filter(({ tick }) => tick > down && tick < up);
  expect(between).toEqual([]);
  expect(caught.filter(({ tick }) => tick > down && tick < up).length).toBeGreaterThanOrEqual(2);
});
