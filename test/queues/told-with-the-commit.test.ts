// What a transaction of the caller starts is made known by its commit, and not before, and not by a rollback.
import { Pawl } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { schemaClass } from '../../packages/core/src/store/schema-name.ts';

// A name that needs quotes, since the function finds out for itself which schema it is in.
const SCHEMA = `it's "Pawl"`;
const quoted = '"it\'s ""Pawl"""';
let database: TestDatabase;
let pawl: Pawl;
let pool: pg.Pool;
let listener: pg.Client;
let heard: string[];

beforeEach(async () => {
  database = await createDatabase();
  pawl = new Pawl({ database: database.url, schema: SCHEMA, logger: quiet });
  pawl.registerQueue('q');
  pawl.registerWorkflow(async () => {}, { name: 'job' });
  await pawl.launch();
  // Nothing else is said on the channel than what starts say.
  await pawl.pauseQueue('q');
  pool = new pg.Pool({ connectionString: database.url, max: 10 });
  heard = [];
  listener = new pg.Client({ connectionString: database.url });
  await listener.connect();
  listener.on('notification', ({ payload }) => heard.push(payload as string));
  await listener.query(`LISTEN "pawl:${schemaClass(SCHEMA)}"`);
});
afterEach(async () => {
  await Promise.all([pool.end(), listener.end()]);
  await pawl.shutdown({ graceSeconds: 0 });
  await database.drop();
});

/** What was sent until now: it comes before an answer. */
async function settled(): Promise<string[]> {
  await listener.query('SELECT 1');
  return heard.splice(0);
}

async function transaction(
  work: (client: pg.PoolClient) => Promise<unknown>,
  end: 'COMMIT' | 'ROLLBACK',
): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await work(client);
    expect(await settled()).toEqual([]);
    await client.query(end);
  } finally {
    client.release(true);
  }
}

const fromCode = (client: pg.PoolClient) =>
  pawl.startWorkflow('job', { queueName: 'q', transaction: client })();
const fromSQL = (client: pg.PoolClient) => client.query(`SELECT ${quoted}.start('job', queue => 'q')`);

describe.each([
  ['startWorkflow', fromCode],
  ['pawl.start', fromSQL],
])('%s in a transaction', (_name, start) => {
  test('is told once with the commit, however many it starts', async () => {
    await transaction(async (client) => {
      await start(client);
      await start(client);
    }, 'COMMIT');
    expect(await settled()).toEqual(['q']);
  });

  test('is not told when it is rolled back', async () => {
    await transaction(start, 'ROLLBACK');
    expect(await settled()).toEqual([]);
  });

  test('four transactions tell at a time; a fifth commits all the same, and leaves it to the tick', async () => {
    const others = await Promise.all(Array.from({ length: 4 }, () => pool.connect()));
    for (const other of others) {
      await other.query('BEGIN');
      await start(other);
    }
    await transaction(start, 'COMMIT');
    expect(await settled()).toEqual([]);
    for (const other of others) await other.query('COMMIT');
    expect(await settled()).toEqual(['q', 'q', 'q', 'q']);
    for (const other of others) other.release();
    expect((await pawl.listQueues())[0]).toMatchObject({ queued: 5 });
  });
});

test('what is delayed is told by nobody: its process knows when it is due, the others look', async () => {
  await transaction(async (client) => {
    await pawl.startWorkflow('job', { queueName: 'q', delay: 3600, transaction: client })();
    await client.query(`SELECT ${quoted}.start('job', delay => interval '1 hour')`);
  }, 'COMMIT');
  expect(await settled()).toEqual([]);
});

test('without a queue, all who may claim it are told', async () => {
  await transaction(async (client) => {
    await client.query(`SELECT ${quoted}.start('nobody serves this')`);
  }, 'COMMIT');
  expect(await settled()).toEqual(['r']);
});
