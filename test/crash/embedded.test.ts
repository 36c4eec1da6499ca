// The main crashes once more on an embedded database, whose only process dies with it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type CrashRow, describeCrashRows } from './crash-rows.ts';

const rows: CrashRow[] = [
  { point: { when: 'after-function', kind: 'step', name: 'one' }, again: { one: 1 } },
  { point: { when: 'before-commit', kind: 'transaction', name: 'pay' }, again: { pay: 1 } },
  { point: { when: 'after-commit', kind: 'transaction', name: 'pay' } },
  { point: { when: 'before-commit', kind: 'recv', name: 'late', nth: 2 } },
  { point: { when: 'after-commit', kind: 'start', name: 'child' } },
  { point: { when: 'before-commit', kind: 'end', workflowID: 'main' } },
];

describeCrashRows(rows, {
  atOnce: 1,
  database: async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'pawl-crash-embedded-'));
    return { database: directory, drop: () => rm(directory, { recursive: true, force: true }) };
  },
});
