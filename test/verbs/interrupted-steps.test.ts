// A step that a cancellation interrupted has no result: after a resume it runs again. One that returned has.
import { type Pawl, WorkflowCancelledError } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { beforeEach, expect, test } from 'vitest';

describeEachDriver('a step whose workflow is cancelled while it runs', (driver) => {
  let pawl: Pawl;
  let runs: string[];
  let begun: ReturnType<typeof withResolvers>;

  const withResolvers = () => {
    let resolve = () => {};
    const promise = new Promise<void>((done) => (resolve = done));
    return { promise, resolve };
  };

  const aborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
      begun.resolve();
    });

  beforeEach(async () => {
    runs = [];
    begun = withResolvers();
    pawl = await driver.launch();
  });

  const cancelAndResume = async (name: string): Promise<unknown> => {
    const handle = await pawl.startWorkflow(name, { workflowID: name })();
    await begun.promise;
    await handle.cancel();
    await expect.poll(() => runs.at(-1)).toBe('cancelled');
    expect((await handle.getStatus())?.status).toBe('CANCELLED');
    return (await pawl.resumeWorkflow(name)).getResult();
  };
  const seeing = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof WorkflowCancelledError) runs.push('cancelled');
      throw error;
    }
  };

  test('runs again after a resume if it threw what the signal said', async () => {
    pawl.registerWorkflow(
      () =>
        seeing(() =>
          pawl.runStep(({ signal }) => (runs.push('run') === 1 ? aborted(signal) : 'done'), { name: 'step' }),
        ),
      { name: 'throws' },
    );
    expect(await cancelAndResume('throws')).toBe('done');
    expect(runs).toEqual(['run', 'cancelled', 'run']);
  });

  test('runs again after a resume if its work was cut off by the signal', async () => {
    pawl.registerWorkflow(
      () =>
        seeing(() =>
          pawl.runStep(
            async ({ signal }) => {
              if (runs.push('run') > 1) return 'done';
              await aborted(signal).catch(() => Promise.reject(new Error('socket hang up')));
              return 'never';
            },
            { name: 'step' },
          ),
        ),
      { name: 'wraps' },
    );
    expect(await cancelAndResume('wraps')).toBe('done');
  });

  test('does not run again if it returned nevertheless', async () => {
    pawl.registerWorkflow(
      () =>
        seeing(async () => {
          const value = await pawl.runStep(
            async ({ signal }) => {
              runs.push('run');
              await aborted(signal).catch(() => {});
              return 'charged';
            },
            { name: 'step' },
          );
          return pawl.runStep(() => `${value} once`, { name: 'next' });
        }),
      { name: 'returns' },
    );
    expect(await cancelAndResume('returns')).toBe('charged once');
    expect(runs).toEqual(['run', 'cancelled']);
  });

  test('has its own error as its result if it knew nothing of the cancellation', async () => {
    const go = withResolvers();
    pawl.registerWorkflow(
      () =>
        seeing(() =>
          pawl.runStep(
            async () => {
              runs.push('run');
              begun.resolve();
              await go.promise;
              throw new RangeError('declined');
            },
            { name: 'step' },
          ),
        ),
      { name: 'declines' },
    );
    const handle = await pawl.startWorkflow('declines', { workflowID: 'declines' })();
    await begun.promise;
    await handle.cancel();
    go.resolve();
    await expect.poll(() => runs.at(-1)).toBe('cancelled');
    await expect((await pawl.resumeWorkflow('declines')).getResult()).rejects.toThrow(RangeError);
    expect(runs).toEqual(['run', 'cancelled']);
  });

  // Embedded, a transaction holds the only connection: nobody can cancel beside it.
  // Embedded there is one process and one connection.
  if (driver.server)
    test('rolls back and runs again if it is a transaction that threw what the signal said', async () => {
      const table = `interrupted_${driver.freshSchema()}`;
      await driver.sql(`CREATE TABLE ${table} (n int)`);
      pawl.registerWorkflow(
        () =>
          seeing(() =>
            pawl.runTransaction(
              async (tx) => {
                await tx.query(`INSERT INTO ${table} VALUES (1)`);
                if (runs.push('run') > 1) return 'done';
                return aborted(pawl.signal as AbortSignal);
              },
              { name: 'transaction' },
            ),
          ),
        { name: 'transacts' },
      );
      expect(await cancelAndResume('transacts')).toBe('done');
      expect(await driver.sql(`SELECT n FROM ${table}`)).toEqual([{ n: 1 }]);
    });
});
