// The life of a Pawl: launch, shutdown, launch again; what is handed over; several in one process.
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigurationError, Pawl, type Serializer } from '@pawl/core';
import { describeEachDriver, quiet } from '@pawl/test-support/drivers';
import { expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';

describeEachDriver('a Pawl', (driver) => {
  test('goes from idle over launching to ready, and by stopping back to idle', async () => {
    const pawl = driver.create();
    expect(pawl.state).toBe('idle');
    const launching = pawl.launch();
    expect(pawl.state).toBe('launching');
    expect(await launching).toBe(pawl);
    expect(pawl.state).toBe('ready');
    const stopping = pawl.shutdown();
    expect(pawl.state).toBe('stopping');
    await stopping;
    expect(pawl.state).toBe('idle');
  });

  test('launched twice is an error, and goes on as it was', async () => {
    const pawl = driver.create();
    const launching = pawl.launch();
    await expect(pawl.launch()).rejects.toThrow(ConfigurationError);
    await launching;
    await expect(pawl.launch()).rejects.toThrow(ConfigurationError);
    const one = pawl.registerWorkflow(async () => 1, { name: 'one' });
    expect(await one()).toBe(1);
  });

  test('launched again after shutdown goes on with what it left', async () => {
    const pawl = driver.create();
    const waiting = pawl.registerWorkflow(async () => pawl.recv('go', 600), { name: 'waiting' });
    await pawl.launch();
    await pawl.startWorkflow(waiting, { workflowID: 'left' })();
    for (let i = 0; i < 3; i++) {
      await pawl.shutdown();
      await pawl.launch();
    }
    await pawl.send('left', 'hello', 'go');
    expect(await pawl.retrieveWorkflow('left').getResult()).toBe('hello');
    expect(await pawl.getWorkflowStatus('left')).toMatchObject({ recoveryAttempts: 0, status: 'SUCCESS' });
  });

  test('shut down more often than needed, or before launch, does nothing more', async () => {
    const pawl = driver.create();
    await pawl.shutdown();
    await pawl.launch();
    await Promise.all([pawl.shutdown(), pawl.shutdown()]);
    await pawl.shutdown();
    expect(pawl.state).toBe('idle');
  });

  test('is idle when any of several shutdowns at once is through', async () => {
    const pawl = driver.create();
    const slow = pawl.registerWorkflow(async () => pawl.runStep(() => delay(100)), { name: 'slow' });
    await pawl.launch();
    await pawl.startWorkflow(slow)();
    const first = pawl.shutdown();
    await pawl.shutdown();
    expect(pawl.state).toBe('idle');
    await first;
  });

  test('shut down while it launches is idle after both', async () => {
    const pawl = driver.create();
    const launching = pawl.launch();
    await pawl.shutdown();
    await launching;
    expect(pawl.state).toBe('idle');
  });

  test('is shut down at the end of its scope', async () => {
    let kept: Pawl;
    {
      await using pawl = await driver.create().launch();
      kept = pawl;
      expect(pawl.state).toBe('ready');
    }
    expect(kept.state).toBe('idle');
  });

  test('lets running steps finish within the grace period, and their results are kept', async () => {
    const pawl = driver.create();
    let runs = 0;
    const stepping = pawl.registerWorkflow(
      async () => {
        const value = await pawl.runStep(async () => {
          runs++;
          await delay(150);
          return 'finished';
        });
        await pawl.runStep(() => runs++);
        return value;
      },
      { name: 'stepping' },
    );
    await pawl.launch();
    await pawl.startWorkflow(stepping, { workflowID: 'stepping' })();
    await expect.poll(() => runs, { interval: 2 }).toBe(1);
    await pawl.shutdown({ graceSeconds: 20 });
    expect(runs).toBe(1); // no further step begins
    await pawl.launch();
    expect(await pawl.retrieveWorkflow('stepping').getResult()).toBe('finished');
    expect(runs).toBe(2);
  });

  test('waits no longer than the grace period; what ran runs again, and the old run writes nothing', async () => {
    const pawl = driver.create();
    let finish: (value: string) => void = () => {};
    const hanging = new Promise<string>((resolve) => (finish = resolve));
    let runs = 0;
    const stuck = pawl.registerWorkflow(
      async () => pawl.runStep(async () => (++runs === 1 ? hanging : 'second')),
      { name: 'stuck' },
    );
    await pawl.launch();
    await pawl.startWorkflow(stuck, { workflowID: 'stuck' })();
    const begun = performance.now();
    await pawl.shutdown({ graceSeconds: 0.1 });
    expect(performance.now() - begun).toBeLessThan(5000);
    await pawl.launch();
    finish('first');
    expect(await pawl.retrieveWorkflow('stuck').getResult()).toBe('second');
    expect(runs).toBe(2);
  });

  test('that cannot launch is idle again, and leaves nothing open', async () => {
    const wrong = new Pawl({ database: 'mysql://nowhere', logger: quiet });
    await expect(wrong.launch()).rejects.toThrow(ConfigurationError);
    expect(wrong.state).toBe('idle');
    const absent = new Pawl({ database: 'postgres://postgres@127.0.0.1:1/none', logger: quiet });
    await expect(absent.launch()).rejects.toMatchObject({ name: 'DatabaseUnavailableError' });
    expect(absent.state).toBe('idle');
    await absent.shutdown();
  });

  test.each<[string, object]>([
    ['poolSize', { poolSize: 0 }],
    ['"databse"', { databse: 'postgres://elsewhere' }],
    ['parkAfterSeconds', { parkAfterSeconds: -1 }],
    ['leaseSeconds', { leaseSeconds: 0 }],
    ['versioning', { versioning: 'pach' }],
    ['queues', { queues: 'mail' }],
    ['"complete"', { retention: { complete: '1d' } }],
    ['retention', { retention: '30d' }],
    ['"maxAttemps"', { stepDefaults: { maxAttemps: 5 } }],
  ])('with a wrong %s does not launch', async (what, config) => {
    await expect(driver.create(config).launch()).rejects.toThrow(what);
  });

  test('takes overrides at launch', async () => {
    const schema = driver.freshSchema();
    const pawl = driver.create({ applicationVersion: 'v1' });
    await pawl.launch({ schema, applicationVersion: 'v2' });
    expect(pawl.applicationVersion).toBe('v2');
    expect(internals(pawl).database.schema).toBe(schema);
  });

  test('has one executorID, before launch and over launches', async () => {
    const pawl = driver.create();
    const { executorID } = pawl;
    await pawl.launch();
    expect(pawl.executorID).toBe(executorID);
    await pawl.shutdown();
    await pawl.launch();
    expect(pawl.executorID).toBe(executorID);
    expect(driver.create().executorID).not.toBe(executorID);
    expect(driver.create({ executorID: 'mine' }).executorID).toBe('mine');
  });

  test('has its logger before launch, and a version for each workflow unless one is configured', async () => {
    const pawl = driver.create();
    const lines: unknown[][] = [];
    driver.create({ logger: { ...quiet, info: (...args) => lines.push(args) } }).logger.info('a word');
    expect(lines).toEqual([['a word']]);
    const a = pawl.registerWorkflow(async () => 'a', { name: 'a' });
    const b = pawl.registerWorkflow(async () => 'b', { name: 'b' });
    await pawl.launch();
    const versionOf = async (workflow: typeof a) => {
      const handle = await pawl.startWorkflow(workflow)();
      return (await handle.getStatus())?.applicationVersion;
    };
    expect(await versionOf(a)).toBe(await versionOf(a));
    expect(await versionOf(a)).not.toBe(await versionOf(b));
  });

  test('of another schema in the same process sees nothing of this one', async () => {
    const [a, b] = [await driver.launch(), await driver.launch()];
    for (const pawl of [a, b]) pawl.registerWorkflow(async () => pawl.recv('go', 600), { name: 'same' });
    await a.startWorkflow('same', { workflowID: 'same' })();
    expect(await b.getWorkflowStatus('same')).toBeNull();
    expect((await b.listWorkflows()).workflows).toEqual([]);
    await expect(b.send('same', 1, 'go')).rejects.toMatchObject({ name: 'NonExistentWorkflowError' });
    await b.cancelWorkflow('same');
    await b.startWorkflow('same', { workflowID: 'same' })();
    await b.send('same', 'for b', 'go');
    expect(await b.retrieveWorkflow('same').getResult()).toBe('for b');
    await a.send('same', 'for a', 'go');
    expect(await a.retrieveWorkflow('same').getResult()).toBe('for a');
  });

  test('stores everything with the serializer that it is given', async () => {
    const written: unknown[] = [];
    const serializer: Serializer = {
      stringify: (value) => {
        written.push(value);
        return `#${Buffer.from(JSON.stringify(value)).toString('base64')}`;
      },
      parse: (text) => {
        if (!text.startsWith('#')) throw new Error(`not mine: ${text}`);
        return JSON.parse(Buffer.from(text.slice(1), 'base64').toString()) as unknown;
      },
    };
    const pawl = driver.create({ serializer });
    const echo = pawl.registerWorkflow(
      async (input: { secret: string }) => {
        await pawl.runStep(() => input.secret);
        await pawl.setEvent('key', input.secret);
        const got = await pawl.recv<string>('go', 600);
        await pawl.runStep(() => Promise.reject(new RangeError(`no ${input.secret}`))).catch(() => {});
        return [input.secret, got];
      },
      { name: 'echo' },
    );
    await pawl.launch();
    const handle = await pawl.startWorkflow(echo, { workflowID: 'secret' })({ secret: 'hush' });
    await pawl.send('secret', 'hush too', 'go');
    expect(await handle.getResult()).toEqual(['hush', 'hush too']);
    expect(await (await pawl.forkWorkflow('secret', 4)).getResult()).toEqual(['hush', 'hush too']);
    expect(await pawl.getEvent('secret', 'key')).toBe('hush');
    expect(written.length).toBeGreaterThan(5);
    const schema = internals(pawl).database.schema;
    const tables = await driver.sql<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = $1`,
      [schema],
    );
    for (const { name } of tables) {
      const rows = await driver.sql(`SELECT * FROM ${schema}.${name}`);
      expect(JSON.stringify(rows)).not.toContain('hush');
    }
    const same = { workflowID: 'secret', duplicatePolicy: 'reject-if-different' } as const;
    await pawl.startWorkflow(echo, same)({ secret: 'hush' });
    await expect(pawl.startWorkflow(echo, same)({ secret: 'other' })).rejects.toMatchObject({
      reason: 'different-input',
    });
  });

  if (driver.server) {
    test('hands what it runs to a peer at once when it stops', async () => {
      const schema = driver.freshSchema();
      const [a, b] = [driver.create({ schema }), driver.create({ schema })];
      const ran: string[] = [];
      for (const [name, pawl] of Object.entries({ a, b })) {
        pawl.registerWorkflow(
          async () => {
            await pawl.runStep(() => ran.push(`step ${name}`));
            const value = await pawl.recv('go', 600);
            ran.push(`end ${name}`);
            return value;
          },
          { name: 'handed over' },
        );
      }
      await Promise.all([a.launch({ versioning: 'patch' }), b.launch({ versioning: 'patch' })]);
      await a.startWorkflow('handed over', { workflowID: 'baton' })();
      await expect.poll(() => ran, { interval: 2 }).toEqual(['step a']);
      const begun = performance.now();
      await a.shutdown();
      await expect
        .poll(async () => (await b.getWorkflowStatus('baton'))?.executorID, { interval: 5 })
        .toBe(b.executorID);
      expect(performance.now() - begun).toBeLessThan(3000);
      await b.send('baton', 'hello', 'go');
      expect(await b.retrieveWorkflow('baton').getResult()).toBe('hello');
      expect(ran).toEqual(['step a', 'end b']);
      expect((await b.getWorkflowStatus('baton'))?.recoveryAttempts).toBe(0);
    });

    test('ends every connection that it opened, and none that it was given', async () => {
      const connections = async () =>
        Number(
          (
            await driver.sql<{ count: string }>(
              `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'counted%'`,
            )
          )[0]?.count,
        );
      const pawl = await driver.launch({ name: 'counted' });
      expect(await connections()).toBeGreaterThan(0);
      await pawl.shutdown();
      await expect.poll(connections, { interval: 10 }).toBe(0);
    });
  }
});
