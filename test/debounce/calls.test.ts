// What a debounced call does, on both drivers: one run for those that come together, with the input of the last.
import {
  ConfigurationError,
  InStepError,
  NotLaunchedError,
  NotRegisteredError,
  type Pawl,
  PawlClient,
  SerializationError,
  ValidationError,
} from '@pawl/core';
import { describeEachDriver, type Driver, quiet } from '@pawl/test-support/drivers';
import { expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { CommitUnknownError } from '../../packages/core/src/store/database.ts';

/** A workflow that notes its argument, and returns it. */
function noting(pawl: Pawl) {
  const ran: unknown[] = [];
  const note = pawl.registerWorkflow(
    async (value: unknown) => {
      ran.push(value);
      return value;
    },
    { name: 'note' },
  );
  return { ran, note };
}

const HOUR = { key: 'k', period: '1h' } as const;
const idsOf = (handles: readonly { workflowID: string }[]) =>
  new Set(handles.map(({ workflowID }) => workflowID));

describeEachDriver('debounced calls', (driver: Driver) => {
  /** How long it is until a run begins, rounded to minutes. */
  const minutesLeft = async (schema: string, id: string) =>
    (
      await driver.sql<{ minutes: number }>(
        `SELECT round(extract(epoch FROM wake_at - now()) / 60)::integer AS minutes FROM ${schema}.workflow WHERE id = $1`,
        [id],
      )
    )[0]?.minutes;

  test('become one run with the input of the last, a period after it', async () => {
    const pawl = driver.create();
    const { ran, note } = noting(pawl);
    await pawl.launch();
    const later = pawl.debounce(note, { key: 'document-1', period: '1h' });
    const handles = [await later('a'), await later('b')];
    const other = await pawl.debounce(note, { key: 'document-2', period: 100 })('other');
    const last = Date.now();
    handles.push(await pawl.debounce(note, { key: 'document-1', period: 300 })('c'));
    expect(idsOf(handles).size).toBe(1);
    expect(other.workflowID).not.toBe(handles[0]?.workflowID);
    expect(await pawl.waitAll(handles)).toEqual(['c', 'c', 'c']);
    expect(Date.now() - last).toBeGreaterThanOrEqual(295);
    expect(await other.getResult()).toBe('other');
    expect(new Set(ran)).toEqual(new Set(['c', 'other']));
    expect(ran).toHaveLength(2);
    // The next one after it has begun is another run.
    const next = await later('d');
    expect(next.workflowID).not.toBe(handles[0]?.workflowID);
    expect(await next.getStatus()).toMatchObject({ status: 'DELAYED', name: 'note' });
  });

  test('that nobody awaits keep their order', async () => {
    const pawl = driver.create();
    const { note } = noting(pawl);
    await pawl.launch();
    const later = pawl.debounce(note, HOUR);
    const handles = await Promise.all(Array.from({ length: 300 }, (_, n) => later(n)));
    expect(idsOf(handles).size).toBe(1);
    const { workflows } = await pawl.listWorkflows({ load: ['input'] });
    expect(workflows).toMatchObject([{ status: 'DELAYED', input: [299] }]);
  });

  test('put a run off by a period each, and by no more than maxWait in all', async () => {
    const schema = driver.freshSchema();
    const pawl = driver.create({ schema });
    const { note } = noting(pawl);
    await pawl.launch();
    const later = pawl.debounce(note, { ...HOUR, maxWait: '90m' });
    const { workflowID } = await later(1);
    expect(await minutesLeft(schema, workflowID)).toBe(60);
    const age = (minutes: number) =>
      driver.sql(`UPDATE ${schema}.workflow SET created_at = created_at - interval '${minutes} minutes',
        wake_at = wake_at - interval '${minutes} minutes'`);
    await age(20);
    await later(2);
    expect(await minutesLeft(schema, workflowID)).toBe(60);
    await age(50);
    await later(3);
    expect(await minutesLeft(schema, workflowID)).toBe(20);
    // What the last call says counts: a longer bound, months, and one that is over.
    await pawl.debounce(note, { ...HOUR, maxWait: '5h' })(4);
    expect(await minutesLeft(schema, workflowID)).toBe(60);
    await pawl.debounce(note, { key: 'k', period: '200d' })(5);
    expect(await minutesLeft(schema, workflowID)).toBe(200 * 24 * 60);
    const last = await pawl.debounce(note, { ...HOUR, maxWait: '1h' })(6);
    expect(last.workflowID).toBe(workflowID);
    expect(await last.getResult()).toBe(6);
  });

  test('that never stop do not hold up a run for ever', async () => {
    const pawl = driver.create();
    const { note, ran } = noting(pawl);
    await pawl.launch();
    const steady = pawl.debounce(note, { key: 'k', period: 1000, maxWait: 1000 });
    const last = new Map<string, number>();
    let n = 0;
    while (last.size < 2) {
      last.set((await steady(++n)).workflowID, n);
      // Embedded, the database lets nobody else in by itself.
      await new Promise(setImmediate);
    }
    const [first] = [...last];
    // Every call that was answered with the first run is in it; the one after it is not.
    expect(await pawl.retrieveWorkflow(first?.[0] as string).getResult()).toBe(first?.[1]);
    expect(ran[0]).toBe(first?.[1]);
    expect(first?.[1]).toBe(n - 1);
  });

  test('to a run that is due do not put it off', async () => {
    const schema = driver.freshSchema();
    // Nobody serves it, and nobody looks for what is due.
    const client = new PawlClient({ database: driver.database, schema, logger: quiet });
    const pawl = driver.create({ schema });
    const { ran } = noting(pawl);
    await pawl.launch();
    await pawl.shutdown();
    const { workflowID } = await client.debounce('note', HOUR)(1);
    await driver.sql(`UPDATE ${schema}.workflow SET wake_at = now() - interval '1 second'`);
    expect((await client.debounce('note', HOUR)(2)).workflowID).toBe(workflowID);
    expect(await minutesLeft(schema, workflowID)).toBe(0);
    await client.close();
    await pawl.launch();
    expect(await pawl.retrieveWorkflow(workflowID).getResult()).toBe(2);
    expect(ran).toEqual([2]);
  });

  test('after a restart in the middle of the period find the run', async () => {
    const schema = driver.freshSchema();
    const before = driver.create({ schema });
    const { note } = noting(before);
    await before.launch();
    const first = await before.debounce(note, { key: 'k', period: '1h' })('before');
    await before.shutdown();
    const after = driver.create({ schema });
    const { note: again, ran } = noting(after);
    await after.launch();
    const second = await after.debounce(again, { key: 'k', period: 50 })('after');
    expect(second.workflowID).toBe(first.workflowID);
    expect(await second.getResult()).toBe('after');
    expect(ran).toEqual(['after']);
  });

  test('after the pending run was cancelled, deleted or resumed make another', async () => {
    const pawl = driver.create();
    const { note, ran } = noting(pawl);
    await pawl.launch();
    const later = pawl.debounce(note, HOUR);
    const cancelled = await later('cancelled');
    await cancelled.cancel();
    const deleted = await later('deleted');
    await pawl.deleteWorkflow(deleted.workflowID);
    const resumed = await later('resumed');
    await pawl.resumeWorkflow(resumed.workflowID);
    expect(await resumed.getResult()).toBe('resumed');
    const last = await later('last');
    expect(idsOf([cancelled, deleted, resumed, last]).size).toBe(4);
    expect((await cancelled.getStatus())?.status).toBe('CANCELLED');
    expect(await deleted.getStatus()).toBeNull();
    expect((await last.getStatus())?.status).toBe('DELAYED');
    expect(ran).toEqual(['resumed']);
  });

  test('take what is around the last of them, and leave the next id to a start', async () => {
    const schema = driver.freshSchema();
    const pawl = driver.create({ schema });
    const { note } = noting(pawl);
    await pawl.launch();
    const later = pawl.debounce(note, HOUR);
    await pawl.withAuth({ user: 'ada' }, () => pawl.withWorkflowTimeout('2h', () => later(1)));
    const handle = await pawl.withNextWorkflowID('mine', async () => {
      const debounced = await pawl.withAuth({ user: 'bob' }, () => later(2));
      await pawl.startWorkflow(note)(3);
      return debounced;
    });
    expect(handle.workflowID).not.toBe('mine');
    expect(await pawl.retrieveWorkflow('mine').getResult()).toBe(3);
    const status = await handle.getStatus();
    expect(status).toMatchObject({ authenticatedUser: 'bob', timeoutMs: null });
  });

  test('that cannot be are refused, and nothing is written', async () => {
    const pawl = driver.create();
    const { note } = noting(pawl);
    const picky = pawl.registerWorkflow(async (n: number) => n, {
      name: 'picky',
      input: {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: (value) =>
            typeof value === 'number' ? { value } : { issues: [{ message: 'expected a number' }] },
        },
      },
    });
    await expect(pawl.debounce(note, HOUR)(1)).rejects.toThrow(NotLaunchedError);
    await pawl.launch();
    const bad = (options: object) => pawl.debounce(note, { ...HOUR, ...options })(1);
    await expect(bad({ key: '' })).rejects.toThrow(ValidationError);
    await expect(bad({ key: undefined })).rejects.toThrow(ValidationError);
    await expect(bad({ period: 0 })).rejects.toThrow(/period of debounce key "k" must be above 0/);
    await expect(bad({ period: -1 })).rejects.toThrow(ConfigurationError);
    await expect(bad({ period: undefined })).rejects.toThrow(ConfigurationError);
    await expect(bad({ maxWait: '59m' })).rejects.toThrow(/maxWait of debounce key "k"/);
    await expect(bad({ queueName: 'q' })).rejects.toThrow(/no option "queueName"/);
    await expect(pawl.debounce(note, HOUR)({ call: () => {} })).rejects.toThrow(SerializationError);
    await expect(pawl.debounce(picky, HOUR)('seven' as never)).rejects.toThrow(/expected a number/);
    await expect(pawl.debounce('nobody', HOUR)(1)).rejects.toThrow(NotRegisteredError);
    await expect(pawl.runTransaction(() => pawl.debounce(note, HOUR)(1))).rejects.toThrow(InStepError);
    expect((await pawl.listWorkflows()).workflows).toEqual([]);
  });

  test.each([
    ['took effect', true],
    ['did not', false],
  ])('whose answer is lost are one run, if the commit %s', async (_, committed) => {
    const pawl = driver.create();
    const { note, ran } = noting(pawl);
    await pawl.launch();
    const { database } = internals(pawl);
    const transaction = database.transaction.bind(database);
    const first = await pawl.debounce(note, HOUR)(1);
    database.transaction = async (options, body) => {
      database.transaction = transaction;
      await transaction(options, async (tx) => {
        await body(tx);
        if (!committed) throw new Error('lost on the way');
      }).catch(() => {});
      // It begins before the call is sent again.
      if (committed) await pawl.setWorkflowDelay(first.workflowID, 0);
      if (committed) await first.getResult();
      throw new CommitUnknownError('The connection was lost while COMMIT was under way.');
    };
    const second = await pawl.debounce(note, { ...HOUR, period: 50 })(2);
    expect(second.workflowID).toBe(first.workflowID);
    expect(await second.getResult()).toBe(2);
    expect(ran).toEqual([2]);
    expect((await pawl.listWorkflows()).workflows).toHaveLength(1);
  });
});
