// Code that changed between two runs of one workflow. A call that is not the recorded one ends the run, not the
// workflow: it stays PENDING, says both sides, and goes on when the code fits again.

import type { Pawl } from '@pawl/core';
import { expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { describeEachDriver, type Driver, quiet } from '../support/drivers.ts';

type Body = (pawl: Pawl) => Promise<unknown>;

const named = (pawl: Pawl, name: string) => pawl.runStep(() => name, { name });

/** One body after the other runs the same workflow, each in a process of its own. */
function createLives(driver: Driver) {
  const schema = driver.freshSchema();
  let runs = 0;
  return {
    /** Launches a process with this body; the workflow was started before, or starts now. */
    async live(body: Body) {
      const pawl = driver.create({ schema, applicationVersion: 'one', logger: quiet });
      const workflow = pawl.registerWorkflow(
        async () => {
          runs++;
          return body(pawl);
        },
        { name: 'changing' },
      );
      pawl.registerWorkflow(async () => 'a child', { name: 'child a' });
      pawl.registerWorkflow(async () => 'b child', { name: 'child b' });
      await pawl.launch();
      const handle = await pawl.startWorkflow(workflow, { workflowID: 'changing' })();
      return { pawl, handle, body };
    },
    get runs() {
      return runs;
    },
  };
}

/** Makes what is recorded durable, then waits for ever. */
const forever = (pawl: Pawl) => pawl.recv('go', Number.POSITIVE_INFINITY);

async function recordedSteps(pawl: Pawl, count: number): Promise<void> {
  const completed = async () =>
    (await pawl.listWorkflowSteps('changing')).filter((step) => step.completedAt !== null).length;
  await expect.poll(completed, { interval: 5 }).toBe(count);
}

describeEachDriver('code that changed', (driver) => {
  const changes: [what: string, before: Body, after: Body, recorded: string, called: string][] = [
    [
      'the name of a step',
      (pawl) => named(pawl, 'charge'),
      (pawl) => named(pawl, 'refund'),
      'step "charge"',
      'step "refund"',
    ],
    [
      'the kind of a call',
      (pawl) => named(pawl, 'charge'),
      (pawl) => pawl.randomUUID(),
      'step "charge"',
      'randomUUID',
    ],
    [
      'a step that became a transaction of the same name',
      (pawl) => named(pawl, 'charge'),
      (pawl) => pawl.runTransaction(async () => 1, { name: 'charge' }),
      'step "charge"',
      'transaction "charge"',
    ],
    ['the topic of a recv', (pawl) => pawl.recv('a', 0), (pawl) => pawl.recv('b', 0), 'for "a"', 'for "b"'],
    [
      'the key of an event',
      (pawl) => pawl.setEvent('a', 1),
      (pawl) => pawl.setEvent('b', 1),
      'setEvent "a"',
      'setEvent "b"',
    ],
    [
      'the workflow of an awaited event',
      (pawl) => pawl.getEvent('other a', 'key', 0),
      (pawl) => pawl.getEvent('other b', 'key', 0),
      'for "other a"',
      'for "other b"',
    ],
    [
      'the destination of a message',
      (pawl) => pawl.send('other a', 1, 'topic', { onMissing: 'park' }),
      (pawl) => pawl.send('other b', 1, 'topic', { onMissing: 'park' }),
      'for "other a"',
      'for "other b"',
    ],
    [
      'the topic of a message',
      (pawl) => pawl.send('other a', 1, 'a', { onMissing: 'park' }),
      (pawl) => pawl.send('other a', 1, 'b', { onMissing: 'park' }),
      'send "a"',
      'send "b"',
    ],
    [
      'the workflow that a child runs',
      (pawl) => pawl.startWorkflow('child a')(),
      (pawl) => pawl.startWorkflow('child b')(),
      'start "child a"',
      'start "child b"',
    ],
    [
      'the workflow whose result is awaited',
      (pawl) => pawl.retrieveWorkflow('other a').getResult({ timeoutSeconds: 0 }).catch(String),
      (pawl) => pawl.retrieveWorkflow('other b').getResult({ timeoutSeconds: 0 }).catch(String),
      'for "other a"',
      'for "other b"',
    ],
  ];

  // What is compared does not depend on the database.
  test.each(driver.server ? changes : changes.slice(0, 1))(
    '%s: blocked with both sides, PENDING, and through once the code fits',
    async (_, before, after, recorded, called) => {
      const lives = createLives(driver);
      const first = await lives.live(async (pawl) => {
        await before(pawl);
        await forever(pawl);
      });
      await recordedSteps(first.pawl, 1);
      await first.pawl.shutdown({ graceSeconds: 0 });

      const second = await lives.live(async (pawl) => {
        await after(pawl);
        await forever(pawl);
      });
      await expect.poll(async () => (await second.handle.getStatus())?.blocked, { interval: 5 }).toBeTruthy();
      const status = await second.handle.getStatus();
      expect(status?.status).toBe('PENDING');
      expect(status?.blocked).toContain('NonDeterminismError');
      expect(status?.blocked).toContain(recorded);
      expect(status?.blocked).toContain(called);
      expect(status?.recoveryAttempts).toBe(0);
      await second.pawl.shutdown({ graceSeconds: 0 });

      const third = await lives.live(async (pawl) => {
        await before(pawl);
        return 'through';
      });
      await third.pawl.resumeWorkflow('changing');
      expect(await third.handle.getResult({ timeoutSeconds: 10 })).toBe('through');
      expect((await third.handle.getStatus())?.blocked).toBeNull();
    },
  );

  test('a recorded step that is never called again blocks the end', async () => {
    const lives = createLives(driver);
    const first = await lives.live(async (pawl) => {
      await named(pawl, 'one');
      await named(pawl, 'two');
      await forever(pawl);
    });
    await recordedSteps(first.pawl, 2);
    await first.pawl.shutdown({ graceSeconds: 0 });
    const second = await lives.live((pawl) => named(pawl, 'one'));
    await expect
      .poll(async () => (await second.handle.getStatus())?.blocked, { interval: 5 })
      .toContain('step "two", but the code never called it');
    expect((await second.handle.getStatus())?.status).toBe('PENDING');
    // Blocked once: it is not tried again and again. What one tick asks for has begun before the next one is answered.
    const runs = lives.runs;
    for (let ticks = 0; ticks < 3; ticks++) await internals(second.pawl).runtime.executor.tickNow();
    expect(lives.runs).toBe(runs);
  });

  test('new calls after everything that is recorded are fine', async () => {
    const lives = createLives(driver);
    const first = await lives.live(async (pawl) => {
      await named(pawl, 'one');
      await forever(pawl);
    });
    await recordedSteps(first.pawl, 1);
    await first.pawl.shutdown({ graceSeconds: 0 });
    const second = await lives.live(async (pawl) => {
      const one = await named(pawl, 'one');
      await forever(pawl);
      return [one, await named(pawl, 'new'), await pawl.randomUUID()];
    });
    await second.pawl.send('changing', 'go', 'go');
    expect(await second.handle.getResult({ timeoutSeconds: 10 })).toEqual(['one', 'new', expect.any(String)]);
  });

  // Embedded there is one process and one connection.
  if (driver.server)
    test('the same calls in another order of concurrency block, where they would wait for each other for ever', async () => {
      const lives = createLives(driver);
      const first = await lives.live(async (pawl) => {
        await Promise.all([
          pawl.runStep(() => new Promise((resolve) => setTimeout(resolve, 20)), { name: 'slow' }),
          named(pawl, 'quick'),
        ]);
        await forever(pawl);
      });
      await recordedSteps(first.pawl, 2);
      await first.pawl.shutdown({ graceSeconds: 0 });
      const second = await lives.live(async (pawl) => {
        await named(pawl, 'slow');
        await named(pawl, 'quick');
      });
      await expect
        .poll(async () => (await second.handle.getStatus())?.blocked, { interval: 50, timeout: 10_000 })
        .toContain('step "quick", but the code never called it');
    });

  // Embedded there is one process and one connection.
  if (driver.server)
    test('all blocked workflows are tried again at a launch, not just the first batch of a claim', async () => {
      const schema = driver.freshSchema();
      const count = 230;
      const live = async (body: Body) => {
        const pawl = driver.create({ schema, applicationVersion: 'one', logger: quiet });
        const workflow = pawl.registerWorkflow(() => body(pawl), { name: 'many' });
        await pawl.launch();
        return { pawl, workflow };
      };
      const total = async (
        pawl: Pawl,
        matches: (status: { blocked: string | null; status: string }) => boolean,
      ) => (await pawl.listWorkflows({ limit: 1000 })).workflows.filter(matches).length;
      const first = await live((pawl) => named(pawl, 'one').then(() => forever(pawl)));
      await Promise.all(Array.from({ length: count }, () => first.pawl.startWorkflow(first.workflow)()));
      const recorded = async () =>
        (
          await driver.sql<{ n: number }>(
            `SELECT count(*)::int AS n FROM ${schema}.step WHERE completed_at IS NOT NULL`,
          )
        )[0]?.n;
      await expect.poll(recorded, { interval: 20, timeout: 10_000 }).toBe(count);
      await first.pawl.shutdown({ graceSeconds: 0 });
      const second = await live((pawl) => named(pawl, 'two'));
      const blocked = () => total(second.pawl, (status) => status.blocked !== null);
      await expect.poll(blocked, { interval: 20, timeout: 10_000 }).toBe(count);
      await second.pawl.shutdown({ graceSeconds: 0 });
      const third = await live((pawl) => named(pawl, 'one'));
      const through = () => total(third.pawl, ({ status }) => status === 'SUCCESS');
      await expect.poll(through, { interval: 20, timeout: 10_000 }).toBe(count);
    });
});
