// A Pawl with one schedule, for the tests of schedules.
import type { Pawl, PawlClient, PawlConfig, ScheduleInfo, ScheduleOptions } from '@pawl/core';
import { TestClock } from '@pawl/core/testing';
import type { Driver } from '@pawl/test-support/drivers';
import { expect } from 'vitest';

export const HOUR = 3_600_000;

/** A launched Pawl with a schedule of a workflow `report`, hourly, and the ticks that were run, in the order of their runs. */
export async function scheduled(driver: Driver, options: Partial<ScheduleOptions> & PawlConfig = {}) {
  const { crontab = '0 * * * *', timezone, mode, name, jitterSeconds, ...config } = options;
  const schema = config.schema ?? driver.freshSchema();
  const pawl = driver.create({ ...config, schema });
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
  return { pawl, schema, workflow, schedule, ticks, clock: new TestClock(pawl) };
}

/** The only schedule that is listed. */
export async function only(pawl: Pawl | PawlClient): Promise<ScheduleInfo> {
  const [first, ...rest] = await pawl.listSchedules();
  expect(rest).toEqual([]);
  if (first === undefined) throw new Error('There is no schedule.');
  return first;
}

export const ascending = (one: number, other: number): number => one - other;
