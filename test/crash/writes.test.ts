// Crashes around operations that are one write: events, messages, children, recorded values, starts and ends.
import { createDatabase } from '@pawl/test-support';
import { describeCrashRows, writes } from './crash-rows.ts';

const rows = writes(
  { kind: 'setEvent', name: 'progress' },
  { kind: 'send', name: 'to collector' },
  { kind: 'send', name: 'late' },
  { kind: 'randomUUID' },
  { kind: 'start', name: 'child' },
  { kind: 'start', name: 'main' },
  { kind: 'message' },
  { kind: 'end', workflowID: 'collector' },
  { kind: 'end', workflowID: 'main' },
);

describeCrashRows(rows, {
  database: async () => {
    const { url, drop } = await createDatabase();
    return { database: url, drop };
  },
});
