// registerScheduled and the verbs of schedules, with a clock that is put forward.
import { type Pawl, PawlClient, type PawlConfig, type ScheduleOptions } from '@pawl/core';
import { TestClock } from '@pawl/core/testing';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { expect, test } from 'vitest';

const HOUR = 3_600_000;

describeEachDriver('schedules', (driver) => {
  /** A launched Pawl with one schedule, and the ticks that were run, in the order of their runs. */
  const scheduled = async (options: Partial<ScheduleOptions> & PawlConfig = {}) => {
    const { crontab = '0 * * * *', timezone, mode, name, jitterSeconds, ...config } = options;
    const pawl = driver.create({ schema: driver.freshSchema(), ...config });
    const ticks: number[] = [];
    const workflow = pawl.registerWorkflow(
      async (scheduledAt: Date, startedAt: Date) => {
        ticks.push(scheduledAt.getTime());
        return { scheduledAt, startedAt, workflowID: pawl.workflowID };
      },
      { name: 'report' },
    );
    const schedule = pawl.registerScheduled(workflow, {
      crontab,
      ...(timezone !== undefined && { timezone }),
      ...(mode !== undefined && { mode }),
      ...(name !== undefined && { name }),
      ...(jitterSeconds !== undefined && { jitterSeconds }),
    });
    await pawl.launch();
    return { pawl, workflow, schedule, ticks, clock: new TestClock(pawl) };
  };

  const only = async (pawl: Pawl | PawlClient) => {
    const [first, ...rest] = await pawl.listSchedules();
    expect(rest).toEqual([]);
    if (first === undefined) throw new Error('There is no schedule.');
    return first;
  };

  test('each tick starts one run, under its own id, with the time of the tick and that of the start', async () => {
    const { pawl, clock, ticks } = await scheduled();
    const first = (await only(pawl)).nextAt ?? 0;
    expect(first % HOUR).toBe(0);
    expect(first - (await clock.now()).getTime()).toBeLessThanOrEqual(HOUR);
    await clock.advance('3h');
    expect(ticks).toEqual([first, first + HOUR, first + 2 * HOUR]);
    const id = `sched-report-${new Date(first).toISOString()}`;
    const status = await pawl.getWorkflowStatus(id);
    expect(status).toMatchObject({ status: 'SUCCESS', name: 'report', queueName: null });
    const { scheduledAt, startedAt, workflowID } = status?.output as Record<string, Date>;
    expect(scheduledAt).toEqual(new Date(first));
    expect(startedAt?.getTime()).toBeGreaterThanOrEqual(first);
    expect(startedAt?.getTime()).toBeLessThan(first + 5000);
    expect(workflowID).toBe(id);
    expect(await only(pawl)).toMatchObject({ nextAt: first + 3 * HOUR, lastAt: first + 2 * HOUR });
  });

  test('a schedule is listed with all that it was registered with', async () => {
    const { pawl, schedule } = await scheduled({
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
});
