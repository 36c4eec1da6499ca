// Crashes around the functions of steps and transactions.
import { createDatabase } from '@pawl/test-support';
import { type CrashRow, describeCrashRows } from './crash-rows.ts';

const step = { kind: 'step', name: 'one' };
const transaction = { kind: 'transaction', name: 'pay' };
const flaky = { kind: 'step', name: 'flaky' };

const rows: CrashRow[] = [
  { point: { ...step, when: 'before-function' } },
  { point: { ...step, when: 'after-function' }, again: { one: 1 } },
  { point: { ...step, when: 'before-commit' }, again: { one: 1 } },
  { point: { ...step, when: 'commit-unanswered' }, again: { one: [0, 1] } },
  { point: { ...step, when: 'after-commit' } },

  { point: { ...transaction, when: 'before-function' } },
  { point: { ...transaction, when: 'after-function' }, again: { pay: 1 } },
  { point: { ...transaction, when: 'before-commit' }, again: { pay: 1 } },
  { point: { ...transaction, when: 'commit-unanswered' }, again: { pay: [0, 1] } },
  { point: { ...transaction, when: 'after-commit' } },

  // The second attempt is announced with the first write; its result is the second.
  { point: { ...flaky, when: 'after-function' }, again: { flaky: 1 } },
  { point: { ...flaky, when: 'before-commit' }, again: { flaky: 1 } },
  { point: { ...flaky, when: 'after-commit' } },
  { point: { ...flaky, when: 'before-function', nth: 2 } },
  { point: { ...flaky, when: 'before-commit', nth: 2 }, again: { flaky: 1 } },
  { point: { ...flaky, when: 'after-commit', nth: 2 } },
];

describeCrashRows(rows, {
  database: async () => {
    const { url, drop } = await createDatabase();
    return { database: url, drop };
  },
});
