// Debounced calls of workflows: a step, recorded with the call in one transaction, be the process killed in between.
import { InStepError, SerializationError } from '@pawl/core';
import { createDatabase } from '@pawl/test-support';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { expect, test } from 'vitest';
import { startProgram } from '../processes-suite/process.ts';
import type { Caller } from './processes/caller.ts';

describeEachDriver('debounced calls in workflows', (driver) => {
  test('are steps, found again by a replay', async () => {
    const schema = driver.freshSchema();
    const pawl = driver.create({ schema });
    const target = pawl.registerWorkflow(async (n: number) => n, { name: 'target' });
    const caller = pawl.registerWorkflow(
      async (n: number) => {
        const { workflowID } = await pawl.debounce(target, { key: 'k', period: '1h' })(n);
        await pawl.recv('go', 600);
        return workflowID;
      },
      { name: 'caller' },
    );
    await pawl.launch();
    const handles = [
      await pawl.withAuth({ user: 'ada' }, () => pawl.startWorkflow(caller)(1)),
      await pawl.startWorkflow(caller)(2),
    ];
    const firstSteps = () =>
      Promise.all(handles.map(async (h) => (await pawl.listWorkflowSteps(h.workflowID))[0]));
    await expect
      .poll(async () => (await firstSteps()).map((step) => step?.kind))
      .toEqual(['debounce', 'debounce']);
    const id = (await firstSteps())[0]?.output;
    const [run, ...others] = (await pawl.listWorkflows({ name: 'target' })).workflows;
    expect(others).toEqual([]);
    expect(run).toMatchObject({ workflowID: id, status: 'DELAYED', parentWorkflowID: null });
    // The replay does not call again, though the pending run is gone.
    await pawl.resumeWorkflow(id as string);
    await pawl.retrieveWorkflow(id as string).getResult();
    await pawl.shutdown();
    await pawl.launch();
    for (const { workflowID } of handles) await pawl.send(workflowID, 1, 'go');
    const ids = await Promise.all(
      handles.map((h) => pawl.retrieveWorkflow(h.workflowID).getResult({ timeoutSeconds: 20 })),
    );
    expect(ids).toEqual([id, id]);
    expect((await pawl.listWorkflows({ name: 'target' })).workflows).toHaveLength(1);
  });

  test('are refused in steps and transactions; what cannot be stored is the result of the step', async () => {
    const pawl = driver.create();
    const target = pawl.registerWorkflow(async (n: unknown) => n, { name: 'target' });
    const later = pawl.debounce(target, { key: 'k', period: '1h' });
    const caller = pawl.registerWorkflow(
      async () => {
        const said = (promise: Promise<unknown>) =>
          promise.then(
            () => 'nothing',
            (error: Error) => error.name,
          );
        return [
          await said(pawl.runStep(() => later(1), { name: 'step' })),
          await said(pawl.runTransaction(() => later(1), { name: 'transaction' })),
          await said(later(() => {})),
        ];
      },
      { name: 'caller' },
    );
    await pawl.launch();
    const handle = await pawl.startWorkflow(caller)();
    expect(await handle.getResult()).toEqual([InStepError.name, InStepError.name, SerializationError.name]);
    expect((await pawl.listWorkflowSteps(handle.workflowID)).map(({ kind }) => kind)).toEqual([
      'step',
      'transaction',
      'debounce',
    ]);
    expect((await pawl.listWorkflows({ name: 'target' })).workflows).toEqual([]);
  });
});

test.each(['before-commit', 'commit-unanswered', 'after-commit'] as const)(
  'a process killed %s leaves one run',
  async (when) => {
    const { url, drop } = await createDatabase();
    const file = new URL('./processes/caller.ts', import.meta.url);
    try {
      const first = await startProgram<Caller>(file, { DATABASE: url, WHEN: when });
      await first.call('launch');
      await first.call('start', 'caller-1').catch(() => {});
      expect(await first.ended).toBe('SIGKILL');
      const second = await startProgram<Caller>(file, { DATABASE: url });
      await second.call('launch');
      const id = await second.call('result', 'caller-1');
      expect(await second.call('result', id)).toBe('from caller-1');
      expect(await second.call('runs')).toEqual([id]);
      await second.kill();
    } finally {
      await drop();
    }
  },
);
