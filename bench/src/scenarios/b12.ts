// B12: the embedded database, in a directory of its own, with its defaults. The server of the run has nothing to do.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import type { Figures, Scenario, Turn } from '../contract.ts';
import { checkRows, measureCounting } from './counting.ts';

const one: Scenario = {
  id: 'B12-one',
  title: 'embedded (PGlite, which does not sync its files), 1-step workflow, one at a time',
  unit: 'workflows/s',
  contenders: ['pawl'],
  targets: [{ against: null, figure: 'perSecond', bound: { atLeast: 1000 } }],
  turn: (_contender, turn) => embeddedTurn(turn, 1),
};

const many: Scenario = {
  ...one,
  id: 'B12-many',
  title: 'embedded (PGlite, which does not sync its files), 1-step workflow, 100 at a time',
  targets: [{ against: null, figure: 'perSecond', bound: { atLeast: 3000 } }],
  turn: (_contender, turn) => embeddedTurn(turn, 100),
};

export const b12: readonly Scenario[] = [one, many];

async function embeddedTurn(turn: Turn, concurrency: number): Promise<Figures> {
  const directory = await mkdtemp(path.join(tmpdir(), 'pawl-bench-'));
  try {
    const dataDir = path.join(directory, 'database');
    const { launchPawl } = await import('../peers/pawl.ts');
    const app = await launchPawl('', { embedded: { dataDir } });
    const figures = await measureCounting(app, turn, { steps: 1, concurrency, count: 'workflows' }).finally(
      () => app.close(),
    );
    const database = await PGlite.create(path.join(dataDir, 'data'));
    const { rows } = await database.query<{ workflows: number; steps: number }>(
      `select (select count(*)::int from pawl.workflow where status = 'SUCCESS') as workflows,
              (select count(*)::int from pawl.step where completed_at is not null) as steps`,
    );
    await database.close();
    checkRows(rows[0] ?? { workflows: 0, steps: 0 }, figures['totalRuns'] ?? 0, 1);
    return figures;
  } finally {
    await rm(directory, { recursive: true });
  }
}
