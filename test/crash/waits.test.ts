// Crashes around waits: when one begins (its deadline is written) and when it ends (what it waited for is).
import { createDatabase } from '@pawl/test-support';
import { type CrashRow, describeCrashRows } from './crash-rows.ts';

const around = (point: Omit<CrashRow['point'], 'when'>): CrashRow[] =>
  (['before-commit', 'after-commit'] as const).map((when) => ({ point: { ...point, when } }));

const rows: CrashRow[] = [
  ...around({ kind: 'sleep', workflowID: 'main' }),
  ...around({ kind: 'sleep', workflowID: 'main', nth: 2 }),
  // Its message is there already: one write.
  ...around({ kind: 'recv', name: 'early' }),
  { point: { kind: 'recv', name: 'early', when: 'commit-unanswered' } },
  // The child's first step shares the flush.
  {
    point: { kind: 'getEvent', name: 'child event', when: 'before-commit' },
    again: { 'child step': [0, 1] },
  },
  { point: { kind: 'getEvent', name: 'child event', when: 'after-commit' } },
  ...around({ kind: 'getEvent', name: 'child event', nth: 2 }),
  { point: { kind: 'getEvent', name: 'child event', nth: 2, when: 'commit-unanswered' } },
  ...around({ kind: 'recv', name: 'late' }),
  ...around({ kind: 'recv', name: 'late', nth: 2 }),
  { point: { kind: 'recv', name: 'late', nth: 2, when: 'commit-unanswered' } },
  ...around({ kind: 'getResult' }),
  { point: { kind: 'getResult', when: 'commit-unanswered' } },
  // It ends with its time.
  ...around({ kind: 'recv', name: 'nothing', nth: 2 }),
];

describeCrashRows(rows, {
  database: async () => {
    const { url, drop } = await createDatabase();
    return { database: url, drop };
  },
});
