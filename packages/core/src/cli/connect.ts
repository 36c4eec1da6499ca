// Owns which database a command means, and the way to it. Creates an embedded directory for `migrate` alone: a look at
// what is there must not make something be there.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type PawlConfig, createDatabase, resolveConfig } from '../app/config.ts';
import { PawlCore } from '../app/core.ts';
import { startRuntime } from '../app/runtime.ts';
import { createRegistry } from '../engine/registry.ts';
import { ConfigurationError } from '../errors/index.ts';
import type { Database } from '../store/database.ts';
import { migrate, readSchemaVersion } from '../store/migrate.ts';
import { createEmitter } from '../telemetry/events.ts';
import { EXIT, Failure, messageOf } from './failure.ts';
import { storedCodec } from './stored-values.ts';

export interface Where {
  /** A URL, or the directory of an embedded database. */
  database?: string | undefined;
  schema?: string | undefined;
}

const EMBEDDED = './.pawl';
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Runs a command on a connection that lasts as long as it does. */
export async function withPawl<T>(where: Where, run: (core: PawlCore) => Promise<T>): Promise<T> {
  const config = configuration(where, { create: false });
  const core = new PawlCore(storedCodec, createRegistry(), createEmitter(), true);
  let opened = false;
  const runtime = await startRuntime({
    config,
    codec: core.codec,
    registry: core.registry,
    storage: core.storage,
    events: core.events,
    observer: true,
    prepare: (database) => {
      opened = true;
      return checkSchema(database, where);
    },
  }).catch((error: unknown) => {
    throw opened ? error : refused(error);
  });
  core.runtime = runtime;
  core.state = 'ready';
  try {
    return await run(core);
  } finally {
    await runtime.stop(0);
  }
}

/** Creates or updates the schema. Names what was applied. */
export async function migrateSchema(where: Where): Promise<{ schema: string; applied: string[] }> {
  const config = configuration(where, { create: where.database !== undefined });
  const database = createDatabase(config);
  try {
    await database.open();
  } catch (error) {
    throw refused(error);
  }
  try {
    const { applied, known } = await readSchemaVersion(database);
    if (applied > known) throw tooNew(database.schema, applied, known);
    return { schema: database.schema, applied: await migrate(database) };
  } finally {
    await database.close();
  }
}

function configuration(where: Where, { create }: { create: boolean }) {
  return resolveConfig({
    name: 'pawl',
    database: databaseOf(where.database ?? (process.env['DATABASE_URL'] || undefined), create),
    ...(where.schema !== undefined && { schema: where.schema }),
    poolSize: 2,
    logger: silent,
    migrate: false,
    // What the app keeps is the app's affair.
    retention: false,
  });
}

function databaseOf(given: string | undefined, create: boolean): Exclude<PawlConfig['database'], undefined> {
  if (given !== undefined && /^postgres(ql)?:\/\//.test(given)) return given;
  if (given !== undefined && /^[a-z][a-z0-9+.-]+:\/\//i.test(given)) {
    throw new Failure(
      EXIT.usage,
      'The database must be a URL such as postgresql://user:password@host:5432/name, or the directory of an embedded one.',
    );
  }
  // A variable that is not set must not lead to another database.
  if (given === '') throw new Failure(EXIT.usage, 'The value of --database is empty.');
  const dataDir = given ?? EMBEDDED;
  if (!create && !existsSync(join(dataDir, 'data'))) {
    throw new Failure(
      EXIT.unreachable,
      given === undefined
        ? `Which database? Set DATABASE_URL or say --database; there is no embedded one in ${EMBEDDED} either.`
        : `There is no embedded database in ${JSON.stringify(given)}. A server is given as a URL: postgresql://user:password@host:5432/name.`,
    );
  }
  return { dataDir };
}

async function checkSchema(database: Database, where: Where): Promise<void> {
  const { applied, known } = await readSchemaVersion(database);
  if (applied > known) throw tooNew(database.schema, applied, known);
  if (applied === known) return;
  const name = JSON.stringify(database.schema);
  throw new Failure(
    EXIT.schema,
    applied === 0
      ? `There is no Pawl in the schema ${name} of this database. Check the database${where.schema === undefined ? ' and --schema' : ' and the schema'}, or run \`npx pawl migrate\`.`
      : `The schema ${name} is at migration ${applied}, and this version of Pawl needs ${known}. Run \`npx pawl migrate\`.`,
  );
}

function tooNew(schema: string, applied: number, known: number): Failure {
  return new Failure(
    EXIT.schema,
    `The schema ${JSON.stringify(schema)} is at migration ${applied}, and this version of Pawl knows ${known} at most. Use the \`pawl\` of the newer version of @pawl/core.`,
  );
}

/** The database was not opened. */
function refused(error: unknown): unknown {
  if (error instanceof ConfigurationError && !/in use by process/.test(error.message)) return error;
  if ((error as { code?: unknown } | null)?.code === 'ERR_INVALID_URL')
    return new Failure(EXIT.usage, 'The URL of the database is not a valid one.', { cause: error });
  const own = error instanceof Error && error.name === 'DatabaseUnavailableError';
  return new Failure(
    EXIT.unreachable,
    own || error instanceof ConfigurationError
      ? messageOf(error)
      : `The database did not let us in: ${messageOf(error)}.`,
    { cause: error },
  );
}
