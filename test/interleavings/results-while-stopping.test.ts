// A result whose write was under way when the process began to stop: it is durable, and nothing breaks over telling
// the body, which takes no further calls; the next process goes on from there.
import type { Pawl } from '@pawl/core';
import { expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { describeEachDriver } from '../support/drivers.ts';

const calls: [string, (pawl: Pawl) => Promise<unknown>, unknown][] = [
  ['recv', (pawl) => pawl.recv('topic'), 'a message'],
  ['getEvent', (pawl) => pawl.getEvent('other', 'key'), 'an event'],
  ['getResult', (pawl) => pawl.retrieveWorkflow('other').getResult(), 'a result'],
  ['sleep', (pawl) => pawl.sleep(0).then(() => 'slept'), 'slept'],
  ['step', (pawl) => pawl.runStep(() => 'a value'), 'a value'],
  ['setEvent', (pawl) => pawl.setEvent('key', 1).then(() => 'set'), 'set'],
  ['send', (pawl) => pawl.send('other', 1).then(() => 'sent'), 'sent'],
  ['start', async (pawl) => (await pawl.startWorkflow('other')()).workflowID, 'stopped-0'],
  ['randomUUID', async (pawl) => (await pawl.randomUUID()).length, 36],
];

describeEachDriver('a process stops over the write of', (driver) => {
  test.each(calls)('%s', async (kind, call, value) => {
    const schema = driver.freshSchema();
    let armed = true;
    let stopped: Promise<void> | undefined;
    const live = async () => {
      const pawl = driver.create({ schema });
      const other = pawl.registerWorkflow(
        async () => {
          await pawl.setEvent('key', 'an event');
          return 'a result';
        },
        { name: 'other' },
      );
      const stopping = pawl.registerWorkflow(
        async () => [await call(pawl), await pawl.runStep(() => 'last')],
        {
          name: 'stopping',
        },
      );
      internals(pawl).events.on('journal.flushing', ({ operations }) => {
        if (armed && operations.some((each) => each.workflowID === 'stopped' && each.kind === kind))
          stopped ??= pawl.shutdown({ graceSeconds: 1 });
      });
      await pawl.launch();
      return { pawl, other, stopping };
    };
    const first = await live();
    await first.pawl.startWorkflow(first.other, { workflowID: 'other' })();
    await first.pawl.retrieveWorkflow('other').getResult();
    await first.pawl.send('stopped', 'a message', 'topic', { onMissing: 'park' });
    await first.pawl
      .startWorkflow(first.stopping, { workflowID: 'stopped' })()
      .catch(() => {});
    await expect.poll(() => stopped !== undefined, { interval: 1 }).toBe(true);
    await stopped;

    armed = false;
    const second = await live();
    const result = second.pawl.retrieveWorkflow('stopped').getResult({ timeoutSeconds: 10 });
    expect(await result).toEqual([value, 'last']);
  });
});
