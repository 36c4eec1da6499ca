// What is counted and measured, as the real SDK collects it.
import { verify } from '@pawl/core/http';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { appUnderTest } from '../http/app-under-test.ts';
import { frameworks } from '../http/frameworks.ts';
import { type Sdk, startSdk } from './sdk.ts';

let sdk: Sdk;
beforeAll(() => {
  sdk = startSdk();
});
afterAll(() => sdk.stop());

const counts = (name: string, attributes: object): Promise<number | undefined> =>
  sdk.metric(name).then((series) => series[JSON.stringify(attributes)]);

describe.each(frameworks)('metrics of an app on $name', (framework) => {
  const app = appUnderTest(framework, { parkAfterSeconds: 0.05 });
  const flow = `flow on ${framework.name}`;

  test('starts, ends, steps, flushes, keys and webhooks are counted by name and outcome', async () => {
    const { pawl } = app;
    const order = pawl.registerWorkflow(
      async ({ fail }: { fail?: boolean }) => {
        await pawl.runStep(
          () => {
            if (fail === true) throw new RangeError('secret words');
          },
          { name: 'check' },
        );
        return 'done';
      },
      { name: flow },
    );
    const hook = `hook of ${framework.name}`;
    app.serve((routes) => {
      routes.endpoint('/orders', order);
      routes.webhook('/hook', { name: hook, verify: verify.unsafeNone(), route: () => null });
      routes.webhook('/closed', { name: hook, verify: verify.custom(() => false), route: () => null });
    });
    const before = await counts('pawl.idempotency.outcomes', { 'idempotency.outcome': 'replayed' });
    const key = app.newKey();
    await app.post('/orders', key, {}).expect(200);
    await app.post('/orders', key, {}).expect(200);
    await app.post('/orders', app.newKey(), { fail: true }).expect(500);
    await request(app.server).post('/hook').send({ id: 'event' }).expect(200);
    await request(app.server).post('/closed').send({ id: 'event' }).expect(401);

    const named = { 'pawl.workflow.name': flow };
    const failed = { 'error.type': 'RangeError' };
    expect(await counts('pawl.workflow.started', { ...named, 'pawl.outcome': 'started' })).toBe(2);
    for (const metric of ['pawl.workflow.ended', 'pawl.workflow.duration']) {
      expect(await counts(metric, { ...named, 'pawl.outcome': 'success' })).toBe(1);
      expect(await counts(metric, { ...named, 'pawl.outcome': 'error', ...failed })).toBe(1);
    }
    expect(await counts('pawl.step.duration', { ...named, 'pawl.step.name': 'check' })).toBe(1);
    expect(await counts('pawl.step.duration', { ...named, 'pawl.step.name': 'check', ...failed })).toBe(1);
    expect(await counts('pawl.journal.flush.size', {})).toBeGreaterThan(3);
    expect(await counts('pawl.journal.flush.duration', {})).toBeGreaterThan(3);
    expect(await counts('pawl.idempotency.outcomes', { 'idempotency.outcome': 'replayed' })).toBe(
      (before ?? 0) + 1,
    );
    expect(
      await counts('pawl.webhook.outcomes', { 'pawl.webhook.name': hook, 'pawl.outcome': 'ignored' }),
    ).toBe(1);
    expect(
      await counts('pawl.webhook.outcomes', {
        'pawl.webhook.name': hook,
        'pawl.outcome': 'signature-invalid',
      }),
    ).toBe(1);
    expect(await sdk.raw()).not.toContain('secret words');
  });

  test('what runs, is parked and is due can be seen', async () => {
    const { pawl } = app;
    const waiting = pawl.registerWorkflow(async () => pawl.recv('go'), { name: `${flow} that waits` });
    const handles = [await pawl.startWorkflow(waiting)(), await pawl.startWorkflow(waiting)()];
    await vi.waitFor(async () => expect(await counts('pawl.workflow.parked', {})).toBe(2), 10_000);
    expect(await counts('pawl.workflow.active', {})).toBe(0);
    expect(await counts('pawl.queue.depth', {})).toBe(0);
    for (const { workflowID } of handles) await pawl.send(workflowID, 'now', 'go');
    await Promise.all(handles.map((handle) => handle.getResult()));
    expect(await counts('pawl.workflow.parked', {})).toBe(0);
    await app.sql(
      `INSERT INTO pawl.workflow (id, name, status, nonce, created_at, updated_at, wake_at)
       VALUES ('due', 'nobody serves this', 'PENDING', '', now(), now(), now() - interval '5 seconds')`,
    );
    expect(await counts('pawl.queue.depth', {})).toBe(1);
    expect(await counts('pawl.queue.wait', {})).toBeGreaterThanOrEqual(5);
  });

  test('each queue tells how many wait in it, and how long the first of them has, delayed ones not counted', async () => {
    const { pawl } = app;
    const name = `mail on ${framework.name}`;
    const queue = { 'pawl.queue.name': name };
    const mail = pawl.registerWorkflow(async () => {}, { name });
    pawl.registerQueue(name);
    await pawl.pauseQueue(name);
    expect(await counts('pawl.queue.depth', queue)).toBe(0);
    expect(await counts('pawl.queue.wait', queue)).toBe(0);
    const handles = await pawl.startWorkflows([
      { workflow: mail, args: [], queueName: name },
      { workflow: mail, args: [], queueName: name },
      { workflow: mail, args: [], queueName: name, delay: '1h' },
    ]);
    const ids = handles.map(({ workflowID }) => workflowID);
    await app.sql(
      `UPDATE pawl.workflow SET created_at = created_at - interval '1 minute' WHERE id = ANY ($1)`,
      [ids.slice(1)],
    );
    expect(await counts('pawl.queue.depth', queue)).toBe(2);
    expect(await counts('pawl.queue.wait', queue)).toBeGreaterThanOrEqual(60);
    await pawl.cancelWorkflow(ids[1] as string);
    await pawl.setWorkflowDelay(ids[2] as string, 0);
    await vi.waitFor(async () => expect(await counts('pawl.queue.depth', queue)).toBe(2), 10_000);
    // It waits since its delay is over, not since its start.
    expect(await counts('pawl.queue.wait', queue)).toBeLessThan(60);
    await pawl.resumeQueue(name);
    await Promise.all([handles[0]?.getResult(), handles[2]?.getResult()]);
    expect(await counts('pawl.queue.depth', queue)).toBe(0);
  });
});
