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
}

export function describeCrashRows(rows: readonly CrashRow[], options: CrashRowsOptions): void {
  const directory = mkdtempSync(path.join(tmpdir(), 'pawl-crash-'));
  const log = path.join(directory, 'runs.log');
  let drop: (() => Promise<void>) | undefined;
  let env: Record<string, string> = {};
  let shop: Program<Shop>;
  let undisturbed: Outcome;

  const start = async () => {
    shop = await startProgram<Shop>(SHOP, env);
    await shop.call('ready');
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
    const created = await options.database();
    drop = created.drop;
    env = { ...options.env, DATABASE: created.database, LOG: log };
    await start();
    undisturbed = await shop.call('drive', 'undisturbed');
  });

  afterAll(async () => {
    await shop.kill();
    await drop?.();
    rmSync(directory, { recursive: true, force: true });
  });

  test('without a crash everything happens once', () => {
    expect(runsOf('undisturbed')).toEqual(RUNS);
    expect(undisturbed).toMatchObject({
      values: {
        ...{ one: 'one', paid: 1, flaky: 'flaky', early: 'early', event: 'from the child', late: 'late' },
        ...{ result: 'child result', nothing: null },
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

  test.each(rows.map((row) => ({ title: titleOf(row.point), ...row })))(
    'a crash $title is not to be seen afterwards',
    async ({ title, point, again = {} }) => {
      const workflowID = point.workflowID === undefined ? {} : { workflowID: `${title}:${point.workflowID}` };
      await shop.call('arm', { ...point, ...workflowID });
      await expect(shop.call('drive', title)).rejects.toThrow('SIGKILL');
      await start();
      expect(await shop.call('drive', title)).toEqual(undisturbed);
      const runs = runsOf(title);
      for (const [what, times] of Object.entries(RUNS)) {
        const more = again[what] ?? 0;
        const [least, most] = Array.isArray(more) ? more : [more, more];
        expect(runs[what], what).toBeGreaterThanOrEqual(times + least);
        expect(runs[what], what).toBeLessThanOrEqual(times + most);
      }
    },
  );
}

function titleOf({ when, kind, name, workflowID, nth }: CrashPoint): string {
  const what = [workflowID, kind, name && `"${name}"`, nth && `(${nth})`].filter(Boolean).join(' ');
  return `${when} of ${what}`;
}

/** Rows for operations that are one write. */
export function writes(...points: Omit<CrashPoint, 'when'>[]): CrashRow[] {
  return points.flatMap((point) =>
    (['before-commit', 'commit-unanswered', 'after-commit'] as const).map((when) => ({
      point: { ...point, when },
    })),
  );
}
