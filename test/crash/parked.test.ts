// Crashes around parking, of workflows that leave memory whenever they wait.
import { createDatabase } from '@pawl/test-support';
import { around, describeCrashRows } from './crash-rows.ts';

const rows = [1, 2].flatMap((nth) => around({ kind: 'park', workflowID: 'main', nth }));

describeCrashRows(rows, {
  env: { PARK_AFTER_SECONDS: '0' },
  database: async () => {
    const { url, drop } = await createDatabase();
    return { database: url, drop };
  },
});
