// Crashes around parking, of workflows that leave memory whenever they wait.
import { createDatabase } from '@pawl/test-support';
import { type CrashRow, describeCrashRows } from './crash-rows.ts';

const rows: CrashRow[] = [1, 2, 3, 4].flatMap((nth) =>
  (['before-commit', 'commit-unanswered', 'after-commit'] as const).map((when) => ({
    point: { kind: 'park', workflowID: 'main', nth, when },
  })),
);

describeCrashRows(rows, {
  env: { PARK_AFTER_SECONDS: '0' },
  database: async () => {
    const { url, drop } = await createDatabase();
    return { database: url, drop };
  },
});
