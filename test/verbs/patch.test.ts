// A change of code under unfinished runs: patch() tells them apart, deprecatePatch() lets the markers go.
import type { Pawl } from '@pawl/core';
import { describeEachDriver, quiet } from '@pawl/test-support/drivers';
import type pg from 'pg';
import { expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';

type Body = (pawl: Pawl) => Promise<unknown>;

const step = (pawl: Pawl, name: string) => pawl.runStep(() => name, { name });
const pause = (pawl: Pawl) => pawl.recv('go', Number.POSITIVE_INFINITY);

describeEachDriver('patch', (driver) => {
  /** Runs one workflow with one body after the other, each in a process of its own. */
  function createDeploys() {
    const schema = driver.freshSchema();
    let current: Pawl | undefined;
    return async (body: Body) => {
      await current?.shutdown({ graceSeconds: 0 });
      const pawl = driver.create({ schema, versioning: 'patch', logger: quiet });
      current = pawl;
      const workflow = pawl.registerWorkflow(() => body(pawl), { name: 'changing' });
      await pawl.launch();
      return {
        pawl,
        /** Waits until these are recorded; `recv` by its topic. */
        recorded: async (id: string, names: string[]) => {
          const steps = async () => (await pawl.listWorkflowSteps(id)).map(({ name }) => name);
          await expect.poll(steps, { interval: 5, timeout: 10_000 }).toEqual(names);
        },
        start: (id: string) => pawl.startWorkflow(workflow, { workflowID: id })(),
        finish: async (id: string) => {
          await pawl.send(id, 'on', 'go');
          return pawl.retrieveWorkflow(id).getResult({ timeoutSeconds: 10 });
        },
      };
    };
  }

  const oldWay: Body = async (pawl) => {
    const first = await step(pawl, 'first');
    const way = await step(pawl, 'old');
    await pause(pawl);
    return [first, way, await step(pawl, 'last')];
  };
  const bothWays: Body = async (pawl) => {
    const first = await step(pawl, 'first');
    const way = (await pawl.patch('change')) ? await step(pawl, 'new') : await step(pawl, 'old');
    await pause(pawl);
    return [first, way, await step(pawl, 'last')];
  };
  const newWay: Body = async (pawl) => {
    const first = await step(pawl, 'first');
    await pawl.deprecatePatch('change');
    const way = await step(pawl, 'new');
    await pause(pawl);
    return [first, way, await step(pawl, 'last')];
  };

  test('a marker is kept as the steps after it are, though the workflow was cancelled meanwhile', async () => {
    const schema = driver.freshSchema();
    const pawl = driver.create({ schema, versioning: 'patch', logger: quiet });
    const cancel = (id: string) =>
      driver.sql(`SELECT * FROM ${schema}.cancel(ARRAY[$1], false, false, NULL)`, [id]);
    let runs = 0;
    let cancelled = false;
    const workflow = pawl.registerWorkflow(
      async () => {
        await step(pawl, 'first');
        if (!cancelled) await cancel(pawl.workflowID as string);
        cancelled = true;
        const both = await Promise.all([
          pawl.patch('change'),
          pawl.runStep(() => ++runs, { name: 'beside' }),
        ]);
        return [...both, await step(pawl, 'last')];
      },
      { name: 'cancelled' },
    );
    await pawl.launch();
    const { workflowID } = await pawl.startWorkflow(workflow)();
    await expect.poll(() => runs, { interval: 1 }).toBe(1);
    await expect.poll(() => internals(pawl).runtime.engine.activations.has(workflowID)).toBe(false);
    await pawl.resumeWorkflow(workflowID);
    const result = pawl.retrieveWorkflow(workflowID).getResult({ timeoutSeconds: 10 });
    expect(await result).toEqual([true, 1, 'last']);
    expect(runs).toBe(1);
  });

  test('runs from before the change go the old way, later ones the new way with a marker', async () => {
    const deploy = createDeploys();
    const before = await deploy(oldWay);
    await before.start('old run');
    await before.recorded('old run', ['first', 'old', 'go']);
    const after = await deploy(bothWays);
    await after.start('new run');
    await after.recorded('new run', ['first', 'change', 'new', 'go']);
    expect((await after.pawl.listWorkflowSteps('new run'))[1]).toMatchObject({ kind: 'patch', stepID: 1 });
    expect(await after.finish('old run')).toEqual(['first', 'old', 'last']);
    await after.recorded('old run', ['first', 'old', 'go', 'last']);
    // Its own code finds the marker again.
    const again = await deploy(bothWays);
    expect(await again.finish('new run')).toEqual(['first', 'new', 'last']);
    await again.recorded('new run', ['first', 'change', 'new', 'go', 'last']);
  });

  test('a run that began before the change and has not come to it goes the new way', async () => {
    const deploy = createDeploys();
    const before = await deploy(async (pawl) => {
      await pause(pawl);
      return step(pawl, 'old');
    });
    await before.start('early');
    await before.recorded('early', ['go']);
    const after = await deploy(async (pawl) => {
      await pause(pawl);
      return step(pawl, (await pawl.patch('change')) ? 'new' : 'old');
    });
    expect(await after.finish('early')).toBe('new');
  });

  test('deprecatePatch passes the marker of a run that has one, and leaves none in others', async () => {
    const deploy = createDeploys();
    const before = await deploy(bothWays);
    await before.start('marked');
    await before.recorded('marked', ['first', 'change', 'new', 'go']);
    const after = await deploy(newWay);
    await after.start('unmarked');
    await after.recorded('unmarked', ['first', 'new', 'go']);
    expect(await after.finish('marked')).toEqual(['first', 'new', 'last']);
    // When no run has the marker any more, the call may go.
    const last = await deploy(async (pawl) => {
      const first = await step(pawl, 'first');
      const way = await step(pawl, 'new');
      await pause(pawl);
      return [first, way, await step(pawl, 'last')];
    });
    expect(await last.finish('unmarked')).toEqual(['first', 'new', 'last']);
  });

  /** A run with a marker, blocked in a process whose code does not make the call. */
  async function blockedRun() {
    const deploy = createDeploys();
    const before = await deploy(bothWays);
    await before.start('marked');
    await before.recorded('marked', ['first', 'change', 'new', 'go']);
    const wrong = await deploy(oldWay);
    const blocked = async () => (await wrong.pawl.getWorkflowStatus('marked'))?.blocked;
    await expect
      .poll(blocked, { interval: 5, timeout: 10_000 })
      .toContain('the journal has patch "change", but the code called step "old"');
    return { deploy, wrong };
  }

  test('code without the call is blocked by a marker, and goes on when the call is back', async () => {
    const { deploy } = await blockedRun();
    const right = await deploy(newWay);
    expect(await right.finish('marked')).toEqual(['first', 'new', 'last']);
  });

  if (driver.name === 'Postgres')
    test('what is blocked and held by somebody as the right code comes is taken when it is free', async () => {
      const { deploy, wrong } = await blockedRun();
      const { schema } = internals(wrong.pawl).database;
      const right = await driver.transaction(async (tx) => {
        await (tx as pg.PoolClient).query(`SELECT FROM ${schema}.workflow FOR UPDATE`);
        const pawl = await deploy(newWay);
        // The others do not wait for it.
        await pawl.start('other');
        await pawl.recorded('other', ['first', 'new', 'go']);
        return pawl;
      });
      expect(await right.finish('marked')).toEqual(['first', 'new', 'last']);
      expect(await right.finish('other')).toEqual(['first', 'new', 'last']);
    });

  test('a run gets one answer per name, wherever and however often it asks', async () => {
    const deploy = createDeploys();
    const before = await deploy(async (pawl) => {
      const ways = [await step(pawl, 'old 0'), await step(pawl, 'old 1')];
      await pause(pawl);
      return [...ways, await step(pawl, 'old 2')];
    });
    await before.start('old run');
    await before.recorded('old run', ['old 0', 'old 1', 'go']);
    const after = await deploy(async (pawl) => {
      const way = async () => ((await pawl.patch('change')) ? 'new' : 'old');
      const ways = [await step(pawl, `${await way()} 0`), await step(pawl, `${await way()} 1`)];
      await pause(pawl);
      return [...ways, await step(pawl, `${await way()} 2`)];
    });
    await after.start('new run');
    expect(await after.finish('old run')).toEqual(['old 0', 'old 1', 'old 2']);
    expect(await after.finish('new run')).toEqual(['new 0', 'new 1', 'new 2']);
    await after.recorded('new run', ['change', 'new 0', 'new 1', 'go', 'new 2']);
  });

  test('patches of several deploys stand beside each other', async () => {
    const deploy = createDeploys();
    const ways = (...names: string[]): Body => {
      return async (pawl) => {
        await step(pawl, 'first');
        let way = 'old';
        for (const name of names) if (way === 'old' && (await pawl.patch(name))) way = name;
        await step(pawl, way);
        await pause(pawl);
        return way;
      };
    };
    const zero = await deploy(ways());
    await zero.start('run 0');
    await zero.recorded('run 0', ['first', 'old', 'go']);
    const one = await deploy(ways('one'));
    await one.start('run 1');
    await one.recorded('run 1', ['first', 'one', 'one', 'go']);
    const two = await deploy(ways('two', 'one'));
    await two.start('run 2');
    await two.recorded('run 2', ['first', 'two', 'two', 'go']);
    expect(await two.finish('run 0')).toBe('old');
    expect(await two.finish('run 1')).toBe('one');
    expect(await two.finish('run 2')).toBe('two');
  });

  test('chains side by side each go the way of their run', async () => {
    const deploy = createDeploys();
    const items = ['a', 'b', 'c', 'd'];
    const slow = (pawl: Pawl, name: string, turns: number) =>
      pawl.runStep(
        async () => {
          for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
          return name;
        },
        { name },
      );
    const chains = (patched: boolean): Body => {
      return async (pawl) => {
        const ends = await Promise.all(
          items.map(async (item, i) => {
            await slow(pawl, `reserve ${item}`, (i * 7) % 5);
            const way = patched && (await pawl.patch(`change ${item}`)) ? 'new' : 'old';
            return slow(pawl, `${way} charge ${item}`, (i * 3) % 4);
          }),
        );
        await pause(pawl);
        return ends;
      };
    };
    const waits = async (pawl: Pawl, id: string) => {
      const steps = await pawl.listWorkflowSteps(id);
      return steps.some(({ kind, completedAt }) => kind === 'recv' && completedAt === null);
    };
    const before = await deploy(chains(false));
    await before.start('old run');
    await expect.poll(() => waits(before.pawl, 'old run'), { interval: 5 }).toBe(true);
    const after = await deploy(chains(true));
    await after.start('new run');
    await expect.poll(() => waits(after.pawl, 'new run'), { interval: 5 }).toBe(true);
    const again = await deploy(chains(true));
    expect(await again.finish('old run')).toEqual(items.map((item) => `old charge ${item}`));
    expect(await again.finish('new run')).toEqual(items.map((item) => `new charge ${item}`));
  });

  // Embedded there is one process and one connection.
  if (driver.server)
    test('a transaction called beside patch() runs when the marker is durable', async () => {
      const schema = driver.freshSchema();
      const pawl = await driver.launch({ schema, logger: quiet });
      const order: string[] = [];
      internals(pawl).events.on('journal.flushed', ({ operations }) =>
        order.push(...operations.filter(({ kind }) => kind === 'patch').map(({ kind }) => kind)),
      );
      let open: () => void = () => {};
      const gate = new Promise<void>((resolve) => (open = resolve));
      const beside = pawl.registerWorkflow(
        async () => {
          await gate;
          await Promise.all([
            pawl.patch('change'),
            pawl.runTransaction(async () => order.push('transaction')),
          ]);
        },
        { name: 'beside' },
      );
      const handle = await pawl.startWorkflow(beside, { workflowID: 'beside' })();
      await driver.transaction(async (tx) => {
        // Nothing of the workflow can be written while somebody holds its row.
        await (tx as pg.ClientBase).query(`SELECT 1 FROM ${schema}.workflow WHERE id = 'beside' FOR UPDATE`);
        open();
        const waits = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
        await expect.poll(() => driver.sql(waits), { interval: 5 }).toHaveLength(1);
        // Time enough for the one beside it, which was called before.
        await pawl.runTransaction(async () => {});
      });
      await handle.getResult();
      expect(order).toEqual(['patch', 'transaction']);
    });

  test('without a name is an error, and takes no step', async () => {
    const pawl = await driver.launch({ logger: quiet });
    const nameless = pawl.registerWorkflow(
      async () => {
        const refused = await Promise.allSettled([pawl.patch(''), pawl.deprecatePatch('')]);
        await step(pawl, 'only');
        return refused.map(({ status }) => status);
      },
      { name: 'nameless' },
    );
    const handle = await pawl.startWorkflow(nameless)();
    expect(await handle.getResult()).toEqual(['rejected', 'rejected']);
    expect(await pawl.listWorkflowSteps(handle.workflowID)).toMatchObject([{ stepID: 0, name: 'only' }]);
  });
});
