// The app that the page about schedules operates: that of its first sample.
import { Pawl } from '@pawl/core';

export const pawl = new Pawl();

export const report = pawl.registerWorkflow(
  async (scheduledAt: Date, _at: Date) => scheduledAt.toISOString(),
  {
    name: 'report',
  },
);

pawl.registerScheduled(report, { crontab: '0 9 * * MON-FRI', timezone: 'Europe/Berlin' });
