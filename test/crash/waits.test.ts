// Crashes around waits: when one begins (its deadline is written) and when it ends (what it waited for is).
import { createDatabase } from '@pawl/test-support';
import { around, describeCrashRows } from './crash-rows.ts';

const rows = [
  ...around({ kind: 'sleep', workflowID: 'main' }),
  ...around({ kind: 'sleep', workflowID: 'main', nth: 2 }),
  // Its message is there already: one write.
  ...around({ kind: 'recv', name: 'early' }),
  // The child's first step shares the flush.
  ...around({ kind: 'getEvent', name: 'child event' }, { 'child step': [0, 1] }),
  ...around({ kind: 'getEvent', name: 'child event', nth: 2 }),
  ...around({ kind: 'recv', name: 'late' }),
  ...around({ kind: 'recv', name: 'late', nth: 2 }),
  ...around({ kind: 'getResult' }),
  // It ends with its time.
  ...around({ kind: 'recv', name: 'nothing', nth: 2 }),
];

describeCrashRows(rows, {
  database: async () => {
    const { url, drop } = await createDatabase();
    return { database: url, drop };
  },
});
