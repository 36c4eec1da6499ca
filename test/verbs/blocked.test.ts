// Workflows that no living process serves, seen from one that lives: blocked, said once, and gone on with as soon as
// somebody serves them.
import type { Pawl } from '@pawl/core';
import { describeEachDriver } from '@pawl/test-support/drivers';
import { expect, test, vi } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';

const greet = (pawl: Pawl) => async (whom: string) => {
  await pawl.recv('go', Number.POSITIVE_INFINITY);
  return pawl.runStep(() => `hello ${whom}`, { name: 'greet' });
};

describeEachDriver('blocked for want of a process', (driver) => {
  /** A process that left two runs behind, and one that has never heard of them. */
  async function leftBehind() {
    const schema = driver.freshSchema();
    const first = await driver.launch({ schema });
    const workflow = first.registerWorkflow(greet(first), { name: 'greet' });
    for (const id of ['a', 'b']) await first.startWorkflow(workflow, { workflowID: id })(id);
    await first.shutdown({ graceSeconds: 0 });
    const warn = vi.fn();
    const pawl = driver.create({ schema, logger: { debug() {}, info() {}, warn, error() {} } });
    const events: { workflowID: string; reason: string }[] = [];
    internals(pawl).events.on('workflow.blocked', (event) => events.push(event));
    await pawl.launch();
    // As if they had been due for long.
    await driver.sql(`UPDATE ${schema}.workflow SET wake_at = wake_at - interval '1 minute'`);
    const tick = () => internals(pawl).runtime.executor.tickNow();
    await tick();
    return { pawl, warn, events, tick };
  }

  const reason = /^No living process serves workflow "greet" in version [0-9a-f]{16}\./;

  test('is visible in the status, in the list, in the log once and as an event', async () => {
    const { pawl, warn, events, tick } = await leftBehind();
    expect(await pawl.getWorkflowStatus('a')).toMatchObject({
      ...{ status: 'PENDING', parked: false, recoveryAttempts: 0, executorID: null },
      blocked: expect.stringMatching(reason),
    });
    const { workflows } = await pawl.listWorkflows();
    expect(workflows.map(({ blocked }) => reason.test(blocked ?? ''))).toEqual([true, true]);
    await tick();
    expect(warn.mock.calls).toEqual([
      [
        expect.objectContaining({ workflowName: 'greet', workflows: 2 }),
        expect.stringContaining('2 workflows are blocked. No living process serves workflow "greet"'),
      ],
    ]);
    expect(events.map(({ workflowID }) => workflowID).sort()).toEqual(['a', 'b']);
  });

  test('ends when the workflow is registered after all, and they go on', async () => {
    const { pawl, tick } = await leftBehind();
    await pawl.send('a', 'go', 'go');
    expect((await pawl.getWorkflowStatus('a'))?.blocked).toMatch(reason);
    pawl.registerWorkflow(greet(pawl), { name: 'greet' });
    await tick();
    expect(await pawl.retrieveWorkflow('a').getResult()).toBe('hello a');
    expect((await pawl.getWorkflowStatus('b'))?.blocked).toBeNull();
  });

  test('ends with a resume, on the version of the one who asks, for that run alone', async () => {
    const { pawl, tick } = await leftBehind();
    pawl.registerWorkflow(async (whom: string) => `new code for ${whom}`, { name: 'greet' });
    await tick();
    expect((await pawl.getWorkflowStatus('a'))?.blocked).toMatch(reason);
    await pawl.resumeWorkflow('a');
    // Its wait was not recorded as ended, so the new code, which has none, may end.
    expect(await pawl.retrieveWorkflow('a').getResult()).toBe('new code for a');
    expect((await pawl.getWorkflowStatus('b'))?.blocked).toMatch(reason);
  });
});
