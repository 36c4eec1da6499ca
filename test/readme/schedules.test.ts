// docs/schedules.md: its report comes on time, and its operator gets what the page says.
import { createDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import type { Pawl } from '@pawl/core';
import { TestClock } from '@pawl/core/testing';
import { expect, test, vi } from 'vitest';
import { samplesIn } from './samples.ts';
import * as yours from './surroundings/your-schedule.ts';

const { run, save, sample, atEnd } = samplesIn('docs/schedules.md');

test('the report is run at 9 in Berlin on working days, with the time of its tick', async () => {
  const { pawl } = await run<{ pawl: Pawl }>('report', sample("crontab: '0 9"));
  atEnd(() => pawl.shutdown({ graceSeconds: 0 }));
  await new TestClock(pawl).advance('7d');
  const { workflows } = await pawl.listWorkflows({ load: ['output'] });
  expect(workflows).toHaveLength(5);
  for (const { workflowID, output } of workflows) {
    const { for: tick, open, late } = output as { for: Date; open: number; late: number };
    expect(workflowID).toBe(`sched-report-${tick.toISOString()}`);
    const shown = tick.toLocaleString('en-GB', {
      timeZone: 'Europe/Berlin',
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
    });
    expect(shown).toMatch(/^(Mon|Tue|Wed|Thu|Fri),? 09:00$/);
    expect(open).toBe(3);
    expect(late).toBeGreaterThanOrEqual(0);
  }
});

test('the operator holds, lets go, triggers, backfills and lists', async () => {
  const database = await createDatabase();
  await yours.pawl.launch({ database: database.url, logger: quiet });
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  try {
    await import(save('operating', sample('triggerSchedule')));
    const said = log.mock.calls.map((line) => line.join(' '));
    expect(said[0]).toMatch(/^\d{4}-.*Z$/);
    expect(said.slice(1, 6)).toEqual(
      [5, 6, 7, 8, 9].map((day) => `sched-report-2026-01-0${day}T08:00:00.000Z`),
    );
    expect(said.slice(6)).toEqual([expect.stringMatching(/^report \w{3} \w{3} \d\d/)]);
  } finally {
    log.mockRestore();
    await yours.pawl.shutdown({ graceSeconds: 0 });
    await database.drop();
  }
});
