// When the runs of schedules are started, with a clock that is put forward.
import { PawlClient } from '@pawl/core';
import { TestClock } from '@pawl/core/testing';
import { describeEachDriver, quiet } from '@pawl/test-support/drivers';
import { expect, test } from 'vitest';
import { ascending, HOUR, only, scheduled } from './scheduled.ts';

describeEachDriver('ticks of schedules', (driver) => {
  /** Lets time leap there, and stand still. */
  const setClock = async (schema: string, at: number): Promise<void> => {
    await driver.sql(`CREATE OR REPLACE FUNCTION "${schema}".clock() RETURNS timestamptz LANGUAGE sql VOLATILE
      AS $$ SELECT to_timestamp(${at / 1000}) $$`);
  };

  test('each tick starts one run, under its own id, with the time of the tick and that of the start', async () => {
    const { pawl, clock, ticks } = await scheduled(driver);
    const first = (await only(pawl)).nextAt ?? 0;
    expect(first % HOUR).toBe(0);
    expect(first - (await clock.now()).getTime()).toBeLessThanOrEqual(HOUR);
    await clock.advance('3h');
    expect(ticks).toEqual([first, first + HOUR, first + 2 * HOUR]);
    const id = `sched-report-${new Date(first).toISOString()}`;
    const status = await pawl.getWorkflowStatus(id);
    expect(status).toMatchObject({ status: 'SUCCESS', name: 'report', queueName: null });
    const { scheduledAt, startedAt, workflowID } = (status?.output ?? {}) as Record<string, Date>;
    expect(scheduledAt).toEqual(new Date(first));
    expect(startedAt?.getTime()).toBeGreaterThanOrEqual(first);
    expect(startedAt?.getTime()).toBeLessThan(first + 5000);
    expect(workflowID).toBe(id);
    expect(await only(pawl)).toMatchObject({ nextAt: first + 3 * HOUR, lastAt: first + 2 * HOUR });
  });

  test.each(['skip-missed', 'catch-up'] as const)('ticks while no process runs: %s', async (mode) => {
    const { pawl, schema, clock, ticks } = await scheduled(driver, { mode, crontab: '*/2 * * * *' });
    const first = (await only(pawl)).nextAt ?? 0;
    await pawl.shutdown();
    const day = 24 * HOUR;
    await driver.sql(`CREATE OR REPLACE FUNCTION "${schema}".clock() RETURNS timestamptz LANGUAGE sql VOLATILE
      AS $$ SELECT clock_timestamp() + interval '1 day' $$`);
    await pawl.launch();
    const now = (await clock.now()).getTime();
    const missed = Math.floor((now - first) / 120_000) + 1;
    if (mode === 'skip-missed') expect((await only(pawl)).nextAt).toBeGreaterThan(now);
    else {
      expect(missed).toBeGreaterThanOrEqual(720);
      await expect.poll(() => ticks.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(missed);
      const all = [...new Set(ticks)].sort(ascending).slice(0, missed);
      expect(all).toEqual(Array.from({ length: missed }, (_, n) => first + n * 120_000));
    }
    expect(ticks.filter((tick) => tick < now)).toHaveLength(mode === 'skip-missed' ? 0 : missed);
    expect(now - first).toBeGreaterThan(day - 120_000);
  });

  test('a process that lives and comes more than ten seconds late skips, and says so', async () => {
    const said: string[] = [];
    const logger = { ...quiet, warn: (_: unknown, text?: string) => said.push(String(text)) };
    const { pawl, schema, ticks } = await scheduled(driver, { crontab: '*/10 * * * *', logger });
    const first = (await only(pawl)).nextAt ?? 0;
    // An hour passes at once: the process has been held up for so long.
    await setClock(schema, first + 3630000);
    await expect.poll(async () => (await only(pawl)).nextAt).toBe(first + 4_200_000);
    expect(ticks).toEqual([]);
    await expect
      .poll(() => said.join())
      .toContain(`"report" skipped its ticks since ${new Date(first).toISOString()}`);
    // Nine seconds are not too late.
    await setClock(schema, first + 4209000);
    await expect.poll(() => ticks).toEqual([first + 4_200_000]);
  });

  test('a new crontab counts from the launch of the first process that has it, and keeps what was paused', async () => {
    const { pawl, schema } = await scheduled(driver, { crontab: '0 0 1 1 *' });
    const [row] = await pawl.listSchedules();
    expect(new Date(row?.nextAt ?? 0).toISOString()).toMatch(/-01-01T00:00:00.000Z$/);
    await pawl.pauseSchedule('report');
    await pawl.shutdown();
    const next = await scheduled(driver, {
      schema,
      crontab: '0 0 2 2 *',
      timezone: 'Asia/Kolkata',
      mode: 'catch-up',
    });
    expect(await only(next.pawl)).toMatchObject({ crontab: '0 0 2 2 *', mode: 'catch-up', paused: true });
    await next.pawl.resumeSchedule('report');
    expect(new Date((await only(next.pawl)).nextAt ?? 0).toISOString()).toMatch(/-02-01T18:30:00.000Z$/);
  });

  test('one that is registered after launch ticks from then on, and can be triggered at once', async () => {
    const { pawl, workflow, clock, ticks } = await scheduled(driver);
    pawl.registerScheduled(workflow, { name: 'late', crontab: '30 * * * *' });
    await (await pawl.triggerSchedule('late')).getResult();
    expect(ticks.splice(0)).toHaveLength(1);
    await clock.advance('1h');
    expect(ticks.map((tick) => tick % HOUR).sort(ascending)).toEqual([0, HOUR / 2]);
  });

  test('a removed registration no longer ticks, though it is still listed', async () => {
    const { pawl, schema } = await scheduled(driver, { mode: 'catch-up' });
    await pawl.shutdown();
    const next = driver.create({ schema });
    next.registerWorkflow(async () => {}, { name: 'report' });
    await next.launch();
    await new TestClock(next).advance('3h');
    expect(await next.listSchedules()).toHaveLength(1);
    expect((await next.listWorkflows()).workflows).toEqual([]);
  });

  test('whatever the name is, it fits into the ids of its runs', async () => {
    const { pawl, workflow, clock } = await scheduled(driver);
    const names = ['odd / characters: ü, 日本語, "quotes", %, \\ and {braces}', 'n'.repeat(224)];
    const long = ['n'.repeat(225), '日'.repeat(255)];
    for (const name of [...names, ...long]) pawl.registerScheduled(workflow, { name, crontab: '0 * * * *' });
    const tick = (await pawl.listSchedules())[0]?.nextAt ?? 0;
    await clock.advance('1h');
    const ids = (await pawl.listWorkflows()).workflows.map(({ workflowID }) => workflowID);
    const idOf = (name: string) => `sched-${name}-${new Date(tick).toISOString()}`;
    expect(ids).toHaveLength(5);
    for (const name of names) expect(ids).toContain(idOf(name));
    for (const name of long) {
      const cut = ids.find((id) => !names.map(idOf).includes(id) && id.startsWith(idOf(name).slice(0, 200)));
      expect([...(cut ?? '')]).toHaveLength(255);
      expect(cut?.slice(-25)).toBe(idOf(name).slice(-25));
      await (await pawl.triggerSchedule(name)).getResult();
    }
  });

  test('the timeout of the workflow counts for the runs of its schedule', async () => {
    const pawl = driver.create();
    const workflow = pawl.registerWorkflow((_at: Date, __: Date) => pawl.recv('never', Infinity), {
      name: 'report',
      timeout: '10m',
    });
    pawl.registerScheduled(workflow, { crontab: '0 * * * *' });
    await pawl.launch();
    await new TestClock(pawl).advance('2h');
    const { workflows } = await pawl.listWorkflows({ sort: 'asc' });
    expect(workflows[0]).toMatchObject({ status: 'CANCELLED', timeoutMs: 600_000 });
  });

  test('with jitter a run begins some time after its tick, and says which tick it is for', async () => {
    const { pawl, clock, ticks } = await scheduled(driver, { crontab: '0 0 * * *', jitterSeconds: 3600 });
    const first = (await only(pawl)).nextAt ?? 0;
    await clock.advance(first - (await clock.now()).getTime() + 100);
    expect((await pawl.listWorkflows()).workflows).toMatchObject([{ status: 'DELAYED', queueName: null }]);
    expect(ticks).toEqual([]);
    await clock.advance('1h');
    expect(ticks).toEqual([first]);
  });

  test.each([false, true])(
    'runs wait in the queue that the schedule names; partitioned: %s',
    async (partitioned) => {
      const pawl = driver.create();
      let running = 0;
      let most = 0;
      const workflow = pawl.registerWorkflow(
        async (_at: Date, __: Date) => {
          most = Math.max(most, ++running);
          await pawl.runStep(() => new Promise((resolve) => setTimeout(resolve, 5)));
          running--;
        },
        { name: 'report' },
      );
      pawl.registerQueue('narrow', { concurrency: 1, partitioned });
      pawl.registerScheduled(workflow, { crontab: '0 * * * *', queueName: 'narrow' });
      await pawl.launch();
      const runs = await pawl.backfillSchedule(
        'report',
        new Date('2026-01-01'),
        new Date('2026-01-01T05:00Z'),
      );
      await Promise.all(runs.map((run) => run.getResult()));
      await new TestClock(pawl).advance('1h');
      expect(most).toBe(1);
      expect((await pawl.listWorkflows()).workflows).toHaveLength(6);
      await expect
        .poll(async () => (await pawl.listWorkflows({ status: 'SUCCESS' })).workflows.length)
        .toBe(6);
      const { workflows } = await pawl.listWorkflows();
      for (const { queueName, partitionKey, status } of workflows)
        expect([queueName, partitionKey, status]).toEqual([
          'narrow',
          partitioned ? 'report' : null,
          'SUCCESS',
        ]);
    },
  );

  if (driver.server) {
    test('processes follow a change that another one makes, by its launch or as a client', async () => {
      const { pawl, schema, clock, ticks } = await scheduled(driver, { crontab: '0 0 1 1 *' });
      const { pawl: other } = await scheduled(driver, { schema, crontab: '30 * * * *' });
      await other.shutdown();
      const { nextAt } = await only(pawl);
      await clock.advance('2h');
      expect(ticks).toEqual([nextAt, (nextAt ?? 0) + HOUR]);
      await using client = new PawlClient({ database: driver.database as string, schema });
      await client.pauseSchedule('report');
      expect((await only(client)).paused).toBe(true);
      await clock.advance('2h');
      await client.resumeSchedule('report');
      expect(await (await client.triggerSchedule('report')).getResult()).toMatchObject({
        workflowID: expect.stringContaining('trigger'),
      });
      const [run] = await client.backfillSchedule(
        'report',
        new Date(nextAt ?? 0),
        new Date((nextAt ?? 0) + 1),
      );
      expect(run?.workflowID).toBe(`sched-report-${new Date(nextAt ?? 0).toISOString()}`);
      await expect(client.pauseSchedule('nope')).rejects.toMatchObject({ name: 'NotRegisteredError' });
      expect(ticks).toHaveLength(3);
      await clock.advance('1h');
      expect(ticks).toHaveLength(4);
    });
  }

  test('a schedule whose queue is gone loses no tick, and holds up no other', async () => {
    const said: string[] = [];
    const logger = { ...quiet, error: (_: unknown, text?: string) => said.push(String(text)) };
    const schema = driver.freshSchema();
    const pawl = driver.create({ logger, schema });
    const workflow = pawl.registerWorkflow(async (_at: Date, __: Date) => {}, { name: 'report' });
    pawl.registerQueue('doomed');
    pawl.registerScheduled(workflow, {
      name: 'bad',
      crontab: '0 * * * *',
      queueName: 'doomed',
      mode: 'catch-up',
    });
    pawl.registerScheduled(workflow, { name: 'good', crontab: '0 * * * *' });
    await pawl.launch();
    const tick = (await pawl.listSchedules())[0]?.nextAt ?? 0;
    await driver.sql(`DELETE FROM "${schema}".queue`);
    await setClock(schema, tick + 5000);
    const ids = async () => (await pawl.listWorkflows()).workflows.map(({ workflowID }) => workflowID);
    await expect.poll(ids).toEqual([`sched-good-${new Date(tick).toISOString()}`]);
    expect(said.filter((text) => text.includes('"bad" could not be fired'))).toHaveLength(1);
    pawl.registerQueue('doomed');
    await expect.poll(async () => (await ids()).length).toBe(2);
    expect(await ids()).toContain(`sched-bad-${new Date(tick).toISOString()}`);
  });
});
