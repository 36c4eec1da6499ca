// Crashes around operations that are one write: events, messages, children, recorded values, starts and ends.
import { createDatabase } from '@pawl/test-support';
import { around, describeCrashRows } from './crash-rows.ts';

const rows = [
  ...around({ kind: 'setEvent', name: 'progress' }),
  ...around({ kind: 'send', name: 'to collector' }),
  ...around({ kind: 'send', name: 'late' }),
  ...around({ kind: 'randomUUID' }),
  ...around({ kind: 'patch', name: 'a change' }),
  ...around({ kind: 'start', name: 'child' }),
  ...around({ kind: 'start', name: 'main' }),
  // The first step, which runs beside, may share its flush.
  ...around({ kind: 'message' }, { one: [0, 1] }),
  ...around({ kind: 'end', workflowID: 'collector' }),
  ...around({ kind: 'end', workflowID: 'main' }),
];

describeCrashRows(rows, {
  database: async () => {
    const { url, drop } = await createDatabase();
    return { database: url, drop };
  },
});
