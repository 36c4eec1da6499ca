// Who may fire a schedule, from which row, and what becomes of its next tick when a process registers it.
import { describeEachDriver } from '@pawl/test-support/drivers';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { registerExecutor, retire } from '../../packages/core/src/store/executors.ts';
import {
  dueSchedules,
  fireSchedules,
  pauseSchedule,
  readSchedules,
  registerSchedules,
  type ScheduleDefinition,
} from '../../packages/core/src/store/schedules.ts';
import { openStore, start, type Store } from './open-store.ts';

const PAST = 1_700_000_000_000;
const LATER = 4_000_000_000_000;
const ME = 1;
const OTHER = 2;

describeEachDriver('rows of schedules', (driver) => {
  let store: Store;

  beforeAll(async () => {
    store = await openStore(driver);
  });
  beforeEach(async () => {
    for (const table of ['schedule', 'executor', 'workflow']) await store.rows(`DELETE FROM pawl.${table}`);
  });
  afterAll(() => store.close());

  const register = (next: number, changes: Partial<ScheduleDefinition> = {}, alone = false) =>
    registerSchedules(store.lane, {
      ...{ executor: ME, lockClass: 1, alone },
      schedules: [
        {
          next,
          definition: {
            ...{ name: 'daily', workflowName: 'report', crontab: '0 0 * * *', timezone: 'UTC' },
            ...{ mode: 'skip-missed', queueName: null, jitterMs: 0, timeoutMs: null, ...changes },
          },
        },
      ],
    });
  const live = (number: number, served: string[], leaseMs = 60_000) =>
    registerExecutor(store.database, number, false, {
      ...{ executorID: `executor ${number}`, applicationVersion: null, host: 'here', pid: 1, leaseMs },
      served: served.map((name) => ({ name, version: '1', maxRecoveryAttempts: 9 })),
      anyVersion: false,
    });
  /** One that is due. */
  const registerDue = async (changes: Partial<ScheduleDefinition> = {}) => {
    await register(LATER, changes);
    await store.rows('UPDATE pawl.schedule SET next_at = to_timestamp($1::float8 / 1000) WHERE name = $2', [
      PAST,
      changes.name ?? 'daily',
    ]);
  };
  /** As if it had been there for long. */
  const longAgo = (number: number) =>
    store.rows(`UPDATE pawl.executor SET started_at = '2001-01-01' WHERE number = $1`, [number]);
  const row = async () => {
    const [found] = await readSchedules(store.database, 'daily');
    if (found === undefined) throw new Error('There is no row.');
    return found;
  };
  const firing = (revision: number, tick = 'tick') => ({
    ...{ name: 'daily', revision, last: PAST, next: LATER },
    runs: [{ workflowID: `sched-daily-${tick}`, input: '[1]' }],
  });
  const runs = () =>
    store.rows('SELECT id, name, status, input FROM pawl.workflow WHERE status <> $1 ORDER BY id', [
      'RESERVED',
    ]);

  test('what is due is fired once: who computed from an older row is refused, and starts nothing', async () => {
    await registerDue();
    const { due } = await dueSchedules(store.lane, ['daily', 'unknown']);
    expect(due).toMatchObject([{ name: 'daily', workflowName: 'report', nextAt: PAST, revision: 1 }]);
    const fired = await Promise.all(
      [firing(1, 'a'), firing(1, 'b')].map((each) => fireSchedules(store.lane, [each])),
    );
    expect(fired.map(({ size }) => size)).toEqual([1, 0]);
    expect(await runs()).toEqual([{ id: 'sched-daily-a', name: 'report', status: 'PENDING', input: '[1]' }]);
    expect(await row()).toMatchObject({ next_at: LATER, last_at: PAST, revision: 2 });
    expect(await dueSchedules(store.lane, ['daily'])).toMatchObject({ due: [], next: LATER });
  });

  test.each<[string, () => Promise<unknown>]>([
    ['paused', () => pauseSchedule(store.database, { name: 'daily', paused: true, revision: 1, next: null })],
    ['changed', () => register(LATER - 1, { crontab: '0 1 * * *' })],
  ])('one that was %s since is not fired', async (_, change) => {
    await registerDue();
    await change();
    expect((await fireSchedules(store.lane, [firing(1)])).size).toBe(0);
    expect(await runs()).toEqual([]);
  });

  if (driver.server) {
    test('one that somebody holds is passed by, and the others are fired', async () => {
      await registerDue();
      await registerDue({ name: 'held' });
      await store.database.transaction({}, async (tx) => {
        await tx.query(store.database.qualify(`SELECT 1 FROM pawl.schedule WHERE name = 'held' FOR UPDATE`));
        const both = [firing(1), { ...firing(1), name: 'held' }];
        expect(await fireSchedules(store.lane, both)).toEqual(new Set(['daily']));
      });
    });
  }

  test('a run is started where somebody waits for its id, and left alone where there is one', async () => {
    await registerDue();
    await store.rows(`SELECT pawl.reserve('{sched-daily-a}', true)`);
    await store.write([start('sched-daily-b', { name: 'mine', chosen: true })]);
    await fireSchedules(store.lane, [
      { ...firing(1), runs: ['a', 'b'].map((tick) => ({ workflowID: `sched-daily-${tick}`, input: '[1]' })) },
    ]);
    expect((await runs()).map(({ id, name }) => [id, name])).toEqual([
      ['sched-daily-a', 'report'],
      ['sched-daily-b', 'mine'],
    ]);
  });

  test('a registration that changes nothing leaves the row as it is', async () => {
    await register(LATER - 1);
    await register(LATER);
    expect(await row()).toMatchObject({ next_at: LATER - 1, revision: 1 });
    await register(LATER, { jitterMs: 500 });
    expect(await row()).toMatchObject({ next_at: LATER - 1, revision: 2, jitter_ms: 500 });
    await register(LATER, { timezone: 'Asia/Tokyo' });
    expect(await row()).toMatchObject({ next_at: LATER, revision: 3 });
  });

  test.each<[string, boolean, () => Promise<unknown>]>([
    ['nobody else lives', true, async () => {}],
    ['another one serves the workflow, but came later', true, () => live(OTHER, ['report'])],
    [
      'another one was there, but does not serve it',
      true,
      () => live(OTHER, ['something']).then(() => longAgo(OTHER)),
    ],
    [
      'another one was there, and its lease is over',
      true,
      () => live(OTHER, ['report'], -1).then(() => longAgo(OTHER)),
    ],
    [
      'another one was there, and has stopped',
      true,
      () =>
        live(OTHER, ['report'])
          .then(() => longAgo(OTHER))
          .then(() => retire(store.lane, OTHER)),
    ],
    ['another one was there and lives', false, () => live(OTHER, ['report']).then(() => longAgo(OTHER))],
    ['it was there itself', true, () => live(ME, ['report']).then(() => longAgo(ME))],
  ])('a missed tick, where %s, is skipped: %s', async (_, skipped, others) => {
    await registerDue();
    await others();
    await register(LATER);
    expect((await row()).next_at).toBe(skipped ? LATER : PAST);
    await register(LATER, {}, true);
    expect((await row()).next_at).toBe(LATER);
  });

  test('one that is caught up with is not skipped, whoever lives', async () => {
    await registerDue({ mode: 'catch-up' });
    await register(LATER, { mode: 'catch-up' }, true);
    expect((await row()).next_at).toBe(PAST);
  });
});
