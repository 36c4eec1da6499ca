// Registration of schedules, and what operators do with them.
import type { ScheduleOptions } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { describe, expect, test } from 'vitest';
import { ascending, HOUR, only, scheduled } from './scheduled.ts';

describeEachDriver('verbs of schedules', (driver) => {
  test('a schedule is listed with all that it was registered with', async () => {
    const { pawl, schedule } = await scheduled(driver, {
      crontab: '0 30 9 * * MON-FRI',
      timezone: 'Europe/Berlin',
      mode: 'catch-up',
      name: 'on working days',
      jitterSeconds: 1.5,
    });
    const times = { crontab: '0 30 9 * * MON-FRI', timezone: 'Europe/Berlin' };
    const expected = { name: 'on working days', workflowName: 'report', ...times, mode: 'catch-up' };
    expect(schedule).toEqual(expected);
    expect(await only(pawl)).toEqual({
      ...expected,
      queueName: null,
      jitterSeconds: 1.5,
      paused: false,
      nextAt: expect.any(Number),
      lastAt: null,
    });
  });

  test('a paused schedule does not tick; what it would have done meanwhile is skipped', async () => {
    const { pawl, clock, ticks } = await scheduled(driver);
    await pawl.pauseSchedule('report');
    await pawl.pauseSchedule('report');
    expect(await only(pawl)).toMatchObject({ paused: true, nextAt: null });
    await clock.advance('3h');
    await pawl.resumeSchedule('report');
    await pawl.resumeSchedule('report');
    const { nextAt } = await only(pawl);
    expect(nextAt).toBeGreaterThan((await clock.now()).getTime());
    expect(ticks).toEqual([]);
    await clock.advance('1h');
    expect(ticks).toEqual([nextAt]);
  });

  test('in the mode catch-up it does all of it when it is resumed, in its order', async () => {
    const { pawl, clock, ticks } = await scheduled(driver, { mode: 'catch-up' });
    const first = (await only(pawl)).nextAt ?? 0;
    await pawl.pauseSchedule('report');
    await clock.advance('3h');
    expect(ticks).toEqual([]);
    await pawl.resumeSchedule('report');
    await clock.advance(0);
    expect(ticks.sort(ascending)).toEqual([first, first + HOUR, first + 2 * HOUR]);
    const { workflows } = await pawl.listWorkflows({ idPrefix: 'sched-report-' });
    expect(workflows.map(({ workflowID }) => workflowID)).toEqual(
      [0, 1, 2].map((n) => `sched-report-${new Date(first + n * HOUR).toISOString()}`),
    );
  });

  test('a triggered run is one more, now, with both times the same; paused or not', async () => {
    const { pawl, clock } = await scheduled(driver);
    await pawl.pauseSchedule('report');
    const handle = await pawl.triggerSchedule<{ scheduledAt: Date; startedAt: Date }>('report');
    expect(handle.workflowID).toMatch(/^sched-report-trigger-[0-9a-f-]{36}$/);
    const { scheduledAt, startedAt } = await handle.getResult();
    expect(scheduledAt).toEqual(startedAt);
    expect(Math.abs(scheduledAt.getTime() - (await clock.now()).getTime())).toBeLessThan(10_000);
    expect((await pawl.triggerSchedule('report')).workflowID).not.toBe(handle.workflowID);
    expect(await only(pawl)).toMatchObject({ paused: true, lastAt: null });
  });

  test('a backfill starts what would have come in a while, each tick once', async () => {
    const { pawl } = await scheduled(driver, { timezone: 'Europe/Berlin', crontab: '30 2 * * *' });
    const [from, to] = [new Date('2026-03-28T00:00:00Z'), new Date('2026-03-31T00:30:00Z')];
    const expected = ['2026-03-28T01:30:00.000Z', '2026-03-29T01:00:00.000Z', '2026-03-30T00:30:00.000Z'];
    const handles = await pawl.backfillSchedule<{ scheduledAt: Date }>('report', from, to);
    expect(handles.map(({ workflowID }) => workflowID)).toEqual(
      expected.map((tick) => `sched-report-${tick}`),
    );
    const results = await Promise.all(handles.map((handle) => handle.getResult()));
    expect(results.map(({ scheduledAt }) => scheduledAt.toISOString())).toEqual(expected);
    const before = await pawl.listWorkflows();
    expect(await pawl.backfillSchedule('report', from, to)).toHaveLength(3);
    expect(await pawl.listWorkflows()).toEqual(before);
  });

  test('a backfill leaves to the schedule what is still to come', async () => {
    const { pawl, clock } = await scheduled(driver);
    const now = (await clock.now()).getTime();
    const handles = await pawl.backfillSchedule('report', new Date(now - 2 * HOUR), new Date(now + 9 * HOUR));
    expect(handles).toHaveLength(2);
  });

  test('a queue that is registered after the schedule is found; one that does not exist is an error at launch', async () => {
    const { pawl, workflow } = await scheduled(driver);
    const misspelt = { crontab: '0 * * * *', timeZone: 'Asia/Tokyo' };
    expect(() => pawl.registerScheduled(workflow, misspelt)).toThrow(/no option "timeZone"/);
    pawl.registerScheduled(workflow, { name: 'late', crontab: '0 * * * *', queueName: 'late' });
    await expect(pawl.pauseSchedule('late')).rejects.toMatchObject({
      name: 'UnknownQueueError',
      queueName: 'late',
    });
    // It holds up no other, before it or behind it.
    pawl.registerScheduled(workflow, { name: 'good', crontab: '0 * * * *' });
    await (await pawl.triggerSchedule('good')).getResult();
    expect((await pawl.listSchedules()).map(({ name }) => name)).toEqual(['good', 'report']);
    pawl.registerQueue('late');
    await (await pawl.triggerSchedule('late')).getResult();
    const other = driver.create();
    const report = other.registerWorkflow(async (_at: Date, __: Date) => {}, { name: 'report' });
    other.registerScheduled(report, { crontab: '0 * * * *', queueName: 'nowhere' });
    await expect(other.launch()).rejects.toMatchObject({ name: 'UnknownQueueError', queueName: 'nowhere' });
  });

  test('in a workflow the verbs are steps: run again, they do nothing again', async () => {
    const { pawl } = await scheduled(driver);
    const manage = pawl.registerWorkflow(
      async () => {
        const run = await pawl.triggerSchedule('report');
        const runs = await pawl.backfillSchedule(
          'report',
          new Date('2026-01-01'),
          new Date('2026-01-01T02:00Z'),
        );
        await pawl.pauseSchedule('report');
        const [row] = await pawl.listSchedules();
        await pawl.resumeSchedule('report');
        return [run.workflowID, ...runs.map(({ workflowID }) => workflowID), row?.paused];
      },
      { name: 'manage' },
    );
    const handle = await pawl.startWorkflow(manage)();
    const result = await handle.getResult();
    expect(result).toEqual([
      expect.stringMatching(/^sched-report-trigger-/),
      'sched-report-2026-01-01T00:00:00.000Z',
      'sched-report-2026-01-01T01:00:00.000Z',
      true,
    ]);
    const steps = await pawl.listWorkflowSteps(handle.workflowID);
    expect(steps.map(({ name }) => name)).toEqual([
      ...['triggerSchedule', 'backfillSchedule', 'pauseSchedule', 'listSchedules', 'resumeSchedule'],
    ]);
    const fork = await pawl.forkWorkflow(handle.workflowID, steps.length);
    expect(await fork.getResult()).toEqual(result);
  });

  describe('what cannot be is an error at once, and nothing is written', () => {
    test('a registration', async () => {
      const { pawl, workflow } = await scheduled(driver);
      const other = driver.create();
      other.registerWorkflow(async () => {}, { name: 'another' });
      for (const [options, message] of [
        [{ crontab: '61 * * * *' }, 'no crontab'],
        [{ crontab: '0 0 30 2 *' }, 'never comes'],
        [{ timezone: 'Moon/Sea_of_Tranquility' }, 'no time zone'],
        [{ mode: 'sometimes' as 'catch-up' }, "'skip-missed' or 'catch-up'"],
        [{ name: '' }, 'must not be empty'],
        [{ name: 'report' }, 'is registered already'],
        [{ jitterSeconds: -1 }, 'jitterSeconds'],
      ] satisfies [Partial<ScheduleOptions>, string][])
        expect(() =>
          pawl.registerScheduled(workflow, { crontab: '* * * * *', name: 'new', ...options }),
        ).toThrow(message);
      expect(() => other.registerScheduled(workflow, { crontab: '* * * * *' })).toThrow('of the same Pawl');
      expect((await only(pawl)).name).toBe('report');
    });

    test('a schedule that nobody registered, a date that is none, too many ticks', async () => {
      const { pawl } = await scheduled(driver, { crontab: '* * * * * *' });
      const [from, to] = [new Date('2025-01-01'), new Date('2025-01-02')];
      const unknown = { name: 'NotRegisteredError', missing: 'nope' };
      await expect(pawl.pauseSchedule('nope')).rejects.toMatchObject(unknown);
      await expect(pawl.resumeSchedule('nope')).rejects.toMatchObject(unknown);
      await expect(pawl.triggerSchedule('nope')).rejects.toMatchObject(unknown);
      await expect(pawl.backfillSchedule('nope', from, to)).rejects.toMatchObject(unknown);
      await pawl.pauseSchedule('report');
      const wrong = { name: 'ValidationError' };
      await expect(pawl.backfillSchedule('report', new Date(Number.NaN), to)).rejects.toMatchObject(wrong);
      await expect(pawl.backfillSchedule('report', from, new Date('2025-02-01'))).rejects.toMatchObject(
        wrong,
      );
      await expect(pawl.listWorkflows({ endTime: new Date('2025-02-01') })).resolves.toEqual({
        workflows: [],
      });
    });
  });
});
