// Runs rows of the crash matrix: each kills a process at its point and lets the next one finish. The process that
// finished a row is the one that the next row kills.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CrashPoint } from '@pawl/core/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Program, startProgram } from '../processes-suite/process.ts';
import type { Outcome, Shop } from './processes/shop.ts';

export interface CrashRow {
  point: CrashPoint;
  /** Functions that run more often than in a run without a crash, and by how much: at least, at most. */
  again?: Record<string, number | [number, number]>;
}

const SHOP = new URL('processes/shop.ts', import.meta.url);

/** How often each function runs when nothing crashes. */
const RUNS = { one: 1, pay: 1, flaky: 2, 'child step': 1 };

export interface CrashRowsOptions {
  /** URL of an empty database or a directory for an embedded one. */
  database: () => Promise<{ database: string; drop: () => Promise<void> }>;
  env?: Record<string, string>;
  /** So many rows at once, each on a database of its own. Most of a row's time is waiting. Default 5. */
  atOnce?: number;
}

/** One database with the process that works on it. */
interface Place {
  shop: Program<Shop>;
  restart(): Promise<void>;
  drop(): Promise<void>;
}

export function describeCrashRows(rows: readonly CrashRow[], options: CrashRowsOptions): void {
  const { atOnce = 5 } = options;
  const directory = mkdtempSync(path.join(tmpdir(), 'pawl-crash-'));
  const log = path.join(directory, 'runs.log');
  const places: Place[] = [];
  const waiting: ((place: Place) => void)[] = [];
  let free: Place[];
  let undisturbed: Outcome;

  const open = async (): Promise<void> => {
    const { database, drop } = await options.database();
    const start = async () => {
      const shop = await startProgram<Shop>(SHOP, { ...options.env, DATABASE: database, LOG: log });
      await shop.call('ready');
      return shop;
    };
    const place: Place = {
      shop: await start(),
      restart: async () => {
        place.shop = await start();
      },
      drop: async () => {
        await place.shop.kill();
        await drop();
      },
    };
    places.push(place);
  };

  const withPlace = async (work: (place: Place) => Promise<void>): Promise<void> => {
    const place = free.pop() ?? (await new Promise<Place>((resolve) => waiting.push(resolve)));
    try {
      await work(place);
    } catch (error) {
      await place.shop.kill();
      await place.restart();
      throw error;
    } finally {
      const next = waiting.shift();
      if (next === undefined) free.push(place);
      else next(place);
    }
  };

  const runsOf = (row: string): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const line of readFileSync(log, 'utf8').split('\n')) {
      const [, of, what] = /^(.*):main\S* (.*)$/.exec(line) ?? [];
      if (of === row && what !== undefined) counts[what] = (counts[what] ?? 0) + 1;
    }
    return counts;
  };

  beforeAll(async () => {
    writeFileSync(log, '');
    await Promise.all(Array.from({ length: atOnce }, open));
    free = [...places];
    undisturbed = await (places[0] as Place).shop.call('drive', 'undisturbed');
  });

  afterAll(async () => {
    await Promise.all(places.map((place) => place.drop()));
    rmSync(directory, { recursive: true, force: true });
  });

  test('without a crash everything happens once', () => {
    expect(runsOf('undisturbed')).toEqual(RUNS);
    expect(undisturbed).toMatchObject({
      values: {
        ...{ one: 'one', paid: 1, flaky: 'flaky', early: 'early', event: 'from the child', late: 'late' },
        ...{ result: 'child result', nothing: null, patched: true },
      },
      sameProgress: true,
      collected: ['first', 'second'],
      messages: [
        ['early', 'late'],
        ['first', 'second', 'stop'],
      ],
      payments: 1,
    });
  });

  const each = atOnce === 1 ? test : test.concurrent;
  each.each(rows.map((row) => ({ title: titleOf(row.point), ...row })))(
    'a crash $title is not to be seen afterwards',
    ({ title, point, again = {} }) =>
      withPlace(async (place) => {
        const workflowID =
          point.workflowID === undefined ? {} : { workflowID: `${title}:${point.workflowID}` };
        await place.shop.call('arm', { ...point, ...workflowID });
        await place.shop.call('drive', title).then(
          () => Promise.reject(new Error('The point was not reached.')),
          (error: Error) => expect(error.message).toContain('SIGKILL'),
        );
        await place.restart();
        expect(await place.shop.call('drive', title)).toEqual(undisturbed);
        const runs = runsOf(title);
        for (const [what, times] of Object.entries(RUNS)) {
          const more = again[what] ?? 0;
          const [least, most] = Array.isArray(more) ? more : [more, more];
          expect(runs[what], what).toBeGreaterThanOrEqual(times + least);
          expect(runs[what], what).toBeLessThanOrEqual(times + most);
        }
      }),
    60_000,
  );
}

function titleOf({ when, kind, name, workflowID, nth }: CrashPoint): string {
  const what = [workflowID, kind, name && `"${name}"`, nth && `(${nth})`].filter(Boolean).join(' ');
  return `${when} of ${what}`;
}

/** Rows for an operation that is one write. */
export function around(point: Omit<CrashPoint, 'when'>, again: CrashRow['again'] = {}): CrashRow[] {
  return (['before-commit', 'commit-unanswered', 'after-commit'] as const).map((when) => ({
    point: { ...point, when },
    again: when === 'after-commit' ? {} : again,
  }));
}
