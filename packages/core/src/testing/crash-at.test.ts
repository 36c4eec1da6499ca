import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { serverURL } from '@pawl/test-support';
import { ConfigurationError, Pawl } from '../index.ts';
import { type CrashMoment, reach } from './crash-at.ts';
import { crashAt, testDatabase, type TestDatabase } from './index.ts';

let database: TestDatabase;
let pawl: Pawl;
let log: string[] = [];

beforeAll(async () => {
  database = await testDatabase({ url: serverURL() });
  pawl = new Pawl(database);
  pawl.registerWorkflow(
    async () => {
      await pawl.runStep(() => log.push('step runs'), { name: 'one' });
      log.push('step told');
      await pawl.runTransaction(async () => log.push('transaction runs'), { name: 'two' });
      log.push('transaction told');
      await pawl.sleep(1);
      log.push('slept');
    },
    { name: 'work' },
  );
  await pawl.launch();
});

beforeEach(() => {
  log = [];
});

afterAll(async () => {
  await pawl.shutdown();
  await database.drop();
});

const run = async () => (await pawl.startWorkflow('work')()).getResult();

test.each<[CrashMoment, string, string[]]>([
  ['before-function', 'step', ['crash', 'step runs']],
  ['after-function', 'step', ['step runs', 'crash', 'step told']],
  ['before-commit', 'step', ['step runs', 'crash', 'step told']],
  ['commit-unanswered', 'step', ['step runs', 'crash', 'step told']],
  ['after-commit', 'step', ['step runs', 'crash', 'step told']],
  ['before-function', 'transaction', ['step told', 'crash', 'transaction runs']],
  ['before-commit', 'transaction', ['transaction runs', 'crash', 'transaction told']],
  ['commit-unanswered', 'transaction', ['transaction runs', 'crash', 'transaction told']],
  ['after-commit', 'transaction', ['transaction runs', 'crash', 'transaction told']],
  ['after-commit', 'sleep', ['transaction told', 'crash', 'slept']],
])('%s of a %s comes in its place, once', async (when, kind, expected) => {
  const disarm = reach(pawl, { when, kind }, () => log.push('crash'));
  await run();
  await run();
  disarm();
  const at = log.indexOf('crash');
  expect(log.lastIndexOf('crash')).toBe(at);
  const from = at - expected.indexOf('crash');
  expect(log.slice(from, from + expected.length)).toEqual(expected);
});

test('nth counts, names choose, and what was taken away does not crash', async () => {
  const third = reach(pawl, { when: 'before-function', name: 'one', nth: 3 }, () => log.push('third'));
  const other = reach(pawl, { when: 'before-function', name: 'other' }, () => log.push('other'));
  const gone = reach(pawl, { when: 'after-commit', kind: 'end' }, () => log.push('gone'));
  gone();
  for (let i = 0; i < 3; i++) await run();
  third();
  other();
  expect(log.indexOf('third')).toBe(log.lastIndexOf('slept') - 4 - 1);
  expect(log).not.toContain('other');
  expect(log).not.toContain('gone');
});

test('a point that cannot be reached is an error', () => {
  expect(() => crashAt(pawl, { when: 'before-function', kind: 'sleep' })).toThrow(ConfigurationError);
  expect(() => crashAt(pawl, { when: 'never' as CrashMoment })).toThrow(ConfigurationError);
  expect(() => crashAt(pawl, { when: 'after-commit', nth: 0 })).toThrow(ConfigurationError);
});
