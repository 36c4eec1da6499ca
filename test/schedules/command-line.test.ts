// pawl schedule list, pause, resume, trigger.
import { Pawl } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runHere } from '../cli/command-line.ts';

let database: TestDatabase;
let pawl: Pawl;

const schedule = async (...args: string[]) => {
  const { exitCode, stdout, stderr } = await runHere(['schedule', ...args, '--database', database.url]);
  return { exitCode, text: stdout + stderr };
};
const json = async (...args: string[]): Promise<unknown> =>
  JSON.parse((await schedule(...args, '--json')).text);

beforeAll(async () => {
  database = await createDatabase();
  pawl = new Pawl({ database: database.url, logger: quiet });
  const report = pawl.registerWorkflow(async (at: Date, started: Date) => [at, started], { name: 'report' });
  pawl.registerScheduled(report, { name: 'new year', crontab: '0 0 1 1 *', mode: 'catch-up' });
  pawl.registerScheduled(report, { name: 'noon', crontab: '0 12 24 12 *', timezone: 'Asia/Tokyo' });
  await pawl.launch();
});

afterAll(async () => {
  await pawl?.shutdown();
  await database?.drop();
});

test('list shows when each one ticks, and which are paused', async () => {
  const year = new Date().getUTCFullYear();
  await pawl.pauseSchedule('new year');
  const { exitCode, text } = await schedule('list');
  expect(exitCode).toBe(0);
  expect(text).toMatch(/NAME +WORKFLOW +CRONTAB +TIME ZONE +MODE +QUEUE +LAST +NEXT/);
  expect(text).toMatch(/new year +report +0 0 1 1 \* +UTC +catch-up +paused/);
  expect(text).toMatch(/noon +report +0 12 24 12 \* +Asia\/Tokyo +skip-missed +2\d{3}-12-24 03:00:00Z/);
  expect(await json('list')).toEqual({ schedules: await pawl.listSchedules() });
  expect((await pawl.listSchedules())[1]?.nextAt).toBeGreaterThan(Date.UTC(year, 0));
});

test('pause and resume hold it and let it go on, in the process that fires it', async () => {
  expect(await schedule('pause', 'noon')).toEqual({ exitCode: 0, text: 'noon: paused\n' });
  expect((await pawl.listSchedules())[1]).toMatchObject({ paused: true, nextAt: null });
  expect(await json('resume', 'noon')).toEqual({ name: 'noon', paused: false });
  expect((await pawl.listSchedules())[1]).toMatchObject({ paused: false, nextAt: expect.any(Number) });
});

test('trigger starts a run, and prints its id', async () => {
  const { workflowID } = (await json('trigger', 'noon')) as { workflowID: string };
  expect(workflowID).toMatch(/^sched-noon-trigger-/);
  const [at, started] = await pawl.retrieveWorkflow<Date[]>(workflowID).getResult();
  expect(at).toBeInstanceOf(Date);
  expect(started).toEqual(at);
});

test.each(['pause', 'resume', 'trigger'])(
  '%s of a schedule that does not exist ends with exit code 5',
  async (verb) => {
    expect(await schedule(verb, 'nope')).toEqual({
      exitCode: 5,
      text: 'pawl: No schedule has the name "nope".\n',
    });
  },
);
