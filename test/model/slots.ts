// Where schedules run: schemas of one server side by side, one schedule at a time in each, or the embedded database.
import { createEmbedded } from '@pawl/test-support';
import type { Database } from '../../packages/core/src/store/database.ts';
import { migrate } from '../../packages/core/src/store/migrate.ts';
import { openPgDatabase } from '../../packages/core/src/store/pg-database.ts';
import { openPGliteDatabase } from '../../packages/core/src/store/pglite-database.ts';
import { schemaClass } from '../../packages/core/src/store/schema-name.ts';
import { check } from './checks.ts';
import { type Connections, openConnections, type Statement } from './connections.ts';
import { DEFINE_QUEUE } from './dispatch.ts';
import { comeToRest } from './rest.ts';
import { Schedule, type Slot } from './schedule.ts';
import { TRANSITIONS } from './transitions.ts';
import { LEASE_MS } from './world.ts';

// Time is what the schedule makes it, and no two looks at the clock are the same; at some looks a statement waits.
const CLOCK = `CREATE OR REPLACE FUNCTION pawl.clock() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_pause text := current_setting('model.pause', true);
BEGIN
  IF v_pause <> '' THEN
    PERFORM set_config('model.pause', CASE v_pause WHEN '1' THEN '' ELSE (v_pause::integer - 1)::text END, true);
    IF v_pause = '1' THEN
      PERFORM pg_advisory_xact_lock_shared(7, pg_backend_pid());
    END IF;
  END IF;
  RETURN timestamptz '2030-01-01 00:00:00+00' + nextval('pawl.model_time') * interval '1 microsecond';
END $$`;

const REGISTER = `CREATE FUNCTION pawl.model_register(p_number integer, p_class integer, p_locked boolean, p_lease_ms integer)
RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  IF p_locked THEN
    PERFORM pg_advisory_lock(p_class, p_number);
  END IF;
  INSERT INTO pawl.executor (number, executor_id, names, versions, locked, started_at, lease_until)
  SELECT p_number, 'x', '{job}', '{1}', p_locked, c, c + p_lease_ms * interval '1 millisecond' FROM pawl.clock() c;
END $$`;

const CLEAN = `CREATE FUNCTION pawl.model_clean() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  DELETE FROM pawl.workflow; DELETE FROM pawl.step; DELETE FROM pawl.message; DELETE FROM pawl.event;
  DELETE FROM pawl.stream;
  DELETE FROM pawl.waiter; DELETE FROM pawl.executor; PERFORM pg_advisory_unlock_all();
END $$`;

export interface OpenSlot extends Slot {
  close(): Promise<void>;
}

async function prepare(database: Database): Promise<void> {
  // No lease is over before the server has been up for as long.
  await database.query(
    `SELECT pg_sleep(greatest(0, extract(epoch FROM pg_postmaster_start_time() - clock_timestamp()) + ${LEASE_MS / 1000}))`,
  );
  await migrate(database);
  await database.query('CREATE SEQUENCE pawl.model_time');
  for (const text of [CLOCK, REGISTER, CLEAN, DEFINE_QUEUE, ...TRANSITIONS]) await database.query(text);
}

export async function openServerSlot(url: string, schema: string): Promise<OpenSlot> {
  const database = openPgDatabase({ connection: url, schema, poolSize: 1, applicationName: 'model' });
  await prepare(database);
  const connections = await openConnections(url, (text) => database.qualify(text), 4);
  return {
    connections,
    lockClass: schemaClass(schema),
    close: async () => {
      await connections.close();
      await database.close();
    },
  };
}

/** One connection: statements go through one after the other, and answers are lost all the same. */
export async function openEmbeddedSlot(): Promise<OpenSlot> {
  const live = await createEmbedded();
  const database = openPGliteDatabase({ connection: live, schema: 'pawl' });
  await prepare(database);
  const side = { ...database.lane('model'), query: database.query };
  const connections: Connections = {
    concurrent: false,
    live: [],
    free: true,
    eye: side,
    send: async (label, work) => {
      const statement: Statement = { label, state: 'done' };
      await work(side).then(
        (answer) => (statement.answer = answer),
        (error: unknown) => (statement.error = error),
      );
      return statement;
    },
    commit: async () => {},
    rollback: async () => {},
    cancel: async () => {},
    close: async () => {},
  };
  return {
    connections,
    lockClass: schemaClass('pawl'),
    close: () => live.close(),
  };
}

/** One seed, from an empty schema to an empty schema. The error of a failing one holds its schedule. */
export async function runSeed(seed: number, slot: Slot): Promise<void> {
  const schedule = new Schedule(seed, slot);
  try {
    await schedule.disorder();
    await comeToRest(schedule);
    await check(schedule.oracle, slot.connections.eye);
  } catch (error) {
    await schedule.abandon();
    const { message } = error as Error;
    throw new Error(`Seed ${seed}: ${message}\n${schedule.trace.map((line) => line()).join('\n')}`, {
      cause: error,
    });
  } finally {
    await slot.connections.eye.call('SELECT pawl.model_clean()', []);
  }
}
