// Migrations: by any number of processes at once, into a schema of any name, once.
import { describeEachDriver } from '@pawl/test-support/drivers';
import { expect, test } from 'vitest';

describeEachDriver('migrating', { pooler: true }, (driver) => {
  test('a second launch finds the schema as it is, with what is in it', async () => {
    const schema = driver.freshSchema();
    const first = await driver.launch({ schema });
    const echo = first.registerWorkflow(async (n: number) => n, { name: 'echo' });
    await first.startWorkflow(echo, { workflowID: 'kept' })(1);
    await first.shutdown();
    const second = await driver.launch({ schema });
    expect(await second.getWorkflowStatus('kept')).toMatchObject({ workflowID: 'kept', name: 'echo' });
    const applied = await driver.sql<{ number: number }>(
      `SELECT number FROM ${schema}.migration ORDER BY number`,
    );
    expect(new Set(applied.map(({ number }) => number)).size).toBe(applied.length);
  });

  test.each([
    'we"ird $$ name',
    `it's`,
    `it's "$q$"`,
    'MixedCase',
    'semi;colon -- and \\ backslash',
    'pawl',
    '$pawl$',
    'pawl.pawl',
    'schéma 😀',
    'x'.repeat(63),
  ])('a schema may be called %j', async (schema) => {
    const pawl = await driver.launch({ schema });
    const echo = pawl.registerWorkflow(
      async (n: number) => {
        await pawl.setEvent('key', n);
        return pawl.runTransaction(
          async (tx) => (await tx.query<{ one: number }>('SELECT 1 AS one')).rows[0]?.one,
        );
      },
      { name: 'echo' },
    );
    expect(await echo(1)).toBe(1);
    expect((await pawl.listWorkflows()).workflows).toHaveLength(1);
    // Its ticks would meet the drop, each holding what the other wants.
    await pawl.shutdown({ graceSeconds: 0 });
    await driver.sql(`DROP SCHEMA "${schema.replaceAll('"', '""')}" CASCADE`);
  });

  test.each(['', 'x'.repeat(64), 'a\0b', 'é'.repeat(32)])(
    'a schema called %j is refused at launch',
    async (schema) => {
      await expect(driver.launch({ schema })).rejects.toMatchObject({ name: 'ConfigurationError' });
    },
  );

  test('with migrate: false a schema that is not there is an error that says so', async () => {
    await expect(driver.launch({ migrate: false })).rejects.toThrow(/migrat/i);
  });

  if (driver.server) {
    test('ten processes that launch at once migrate once', async () => {
      const schema = driver.freshSchema();
      const pawls = Array.from({ length: 10 }, () => driver.create({ schema, poolSize: 2 }));
      await Promise.all(pawls.map((pawl) => pawl.launch()));
      expect(pawls.map((pawl) => pawl.state)).toEqual(pawls.map(() => 'ready'));
    });
  }
});
