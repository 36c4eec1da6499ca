// The configuration: what may be said, its defaults, and the database that it means.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { checkName, type Duration, type Serializer, toMilliseconds } from '../codec/index.ts';
import { ConfigurationError } from '../errors/index.ts';
import type { StepRetryOptions } from '../engine/steps.ts';
import { checkOptions } from './check-options.ts';
import type { Database } from '../store/database.ts';
import { openPgDatabase } from '../store/pg-database.ts';
import { openPGliteDatabase } from '../store/pglite-database.ts';
import type { Retention } from '../store/retention.ts';
import { checkSchemaName } from '../store/schema-name.ts';
import { type Logger, quietLogger } from '../telemetry/logger.ts';

/** An instance of PGlite, as far as its type matters here. */
export interface EmbeddedPostgres {
  readonly waitReady: Promise<void>;
  query(text: string, params?: unknown[]): Promise<{ rows: unknown[] }>;
}

/** Settings of a `Pawl`. All are optional. */
export interface PawlConfig {
  /** Application name. Default: the name in the process's package.json, else 'pawl'. */
  name?: string;
  /**
   * Where the state lives: a URL, options of a `pg.Pool`, your own pool (never ended by us), a PGlite, or a directory
   * for an embedded database. Default: `DATABASE_URL`, else embedded in `./.pawl`, which is an error in production.
   */
  database?: string | pg.PoolConfig | pg.Pool | EmbeddedPostgres | { dataDir: string };
  /** Connections for transactions and reads; the journal, the tick and LISTEN have their own. Default 10. */
  poolSize?: number;
  /** Any legal Postgres identifier. Default 'pawl'. */
  schema?: string;
  /** Default: random per process. Recovery never needs it. */
  executorID?: string;
  /** Default: `PAWL_APP_VERSION`, else per workflow a hash of its source. */
  applicationVersion?: string;
  /** 'hash': a process goes on only with what its own code began. 'patch': with anything; `patch()` guards changes. */
  versioning?: 'hash' | 'patch';
  /** Default: JSON plus Date, Map, Set, BigInt, undefined, NaN, Error, Uint8Array. */
  serializer?: Serializer;
  /** `{ debug, info, warn, error }`: pino and console fit. Default: warnings and errors to the console. */
  logger?: Logger;
  /** Retries for every step that does not say otherwise. Default: none. */
  stepDefaults?: StepRetryOptions;
  /** Run migrations at launch, under a lock. Default true. */
  migrate?: boolean;
  /** A workflow that waits longer leaves memory. Seconds, default 5. */
  parkAfterSeconds?: number;
  /** How long a process that stopped answering keeps what it ran. Seconds, default 15. */
  leaseSeconds?: number;
  /**
   * How long finished workflows are kept, with their steps, messages and events. Default 30 days; 90 for those that
   * failed or were cancelled; false: for ever. They are deleted in small batches by whichever process comes first, so
   * all processes on one schema should say the same.
   */
  retention?: { completed?: Duration; failed?: Duration } | false;
  /** Which queues this process serves. Default: all. */
  queues?: readonly string[];
}

/** The configuration with every default filled in. */
export interface ResolvedConfig {
  name: string;
  database: Exclude<PawlConfig['database'], undefined>;
  poolSize: number;
  schema: string;
  executorID: string;
  applicationVersion: string | undefined;
  versioning: 'hash' | 'patch';
  logger: Logger;
  stepDefaults: StepRetryOptions;
  migrate: boolean;
  parkAfterMs: number;
  leaseMs: number;
  /** undefined: all. */
  queues: readonly string[] | undefined;
  /** undefined: finished workflows are kept for ever. */
  retention: Retention | undefined;
}

const DEFAULT_DIRECTORY = './.pawl';
const SETTINGS: Record<keyof PawlConfig, true> = {
  name: true,
  database: true,
  poolSize: true,
  schema: true,
  executorID: true,
  applicationVersion: true,
  versioning: true,
  serializer: true,
  logger: true,
  stepDefaults: true,
  migrate: true,
  parkAfterSeconds: true,
  leaseSeconds: true,
  retention: true,
  queues: true,
};

export const RETRY_OPTIONS: Record<keyof StepRetryOptions, true> = {
  retriesAllowed: true,
  maxAttempts: true,
  intervalSeconds: true,
  backoffRate: true,
  maxIntervalSeconds: true,
  jitter: true,
  timeout: true,
  shouldRetry: true,
};

export function resolveConfig(config: PawlConfig): ResolvedConfig {
  for (const [key, value] of Object.entries(config)) {
    // A function is the method of an object that holds the settings: `new Pawl(await testDatabase())`.
    if (!(key in SETTINGS) && typeof value !== 'function')
      throw new ConfigurationError(
        `There is no setting "${key}". The settings are ${Object.keys(SETTINGS).join(', ')}.`,
      );
  }
  const number = (value: number | undefined, fallback: number, least: number, what: string): number => {
    const given = value ?? fallback;
    if (typeof given !== 'number' || !(given >= least)) {
      throw new ConfigurationError(`${what} must be a number of at least ${least}, not ${String(value)}.`);
    }
    return given;
  };
  const applicationVersion = config.applicationVersion ?? (process.env.PAWL_APP_VERSION || undefined);
  if (applicationVersion !== undefined) checkName(applicationVersion, 'application version');
  if (config.queues !== undefined && !Array.isArray(config.queues))
    throw new ConfigurationError(
      `queues must be an array of names, such as ['mail'], not ${JSON.stringify(config.queues)}.`,
    );
  checkOptions('stepDefaults', config.stepDefaults, RETRY_OPTIONS);
  const { versioning = 'hash' } = config;
  if (versioning !== 'hash' && versioning !== 'patch')
    throw new ConfigurationError(`versioning must be 'hash' or 'patch', not ${JSON.stringify(versioning)}.`);
  return {
    name: config.name ?? packageName() ?? 'pawl',
    database: config.database ?? defaultDatabase(),
    poolSize: number(config.poolSize, 10, 1, 'poolSize'),
    schema: checkSchemaName(config.schema ?? 'pawl'),
    executorID: checkName(config.executorID ?? randomUUID(), 'executorID'),
    applicationVersion,
    versioning,
    logger: config.logger ?? quietLogger,
    stepDefaults: config.stepDefaults ?? {},
    migrate: config.migrate ?? true,
    parkAfterMs: number(config.parkAfterSeconds, 5, 0, 'parkAfterSeconds') * 1000,
    leaseMs: number(config.leaseSeconds, 15, 1, 'leaseSeconds') * 1000,
    queues: config.queues?.map((queue) => checkName(queue, 'name in `queues`')),
    retention: resolveRetention(config.retention),
  };
}

function resolveRetention(retention: PawlConfig['retention']): Retention | undefined {
  if (retention === false) return undefined;
  checkOptions('retention', retention, { completed: true, failed: true });
  return {
    completedMs: toMilliseconds(retention?.completed ?? '30d', 'retention.completed'),
    failedMs: toMilliseconds(retention?.failed ?? '90d', 'retention.failed'),
  };
}

function defaultDatabase(): string | { dataDir: string } {
  if (process.env.DATABASE_URL) return process.env.DATABASE_URL;
  if (process.env.NODE_ENV === 'production') {
    throw new ConfigurationError(
      'No database is configured. Set DATABASE_URL or `database` to a Postgres server; in production Pawl does not fall ' +
        `back to an embedded database. If you do want one, say so: database: { dataDir: '${DEFAULT_DIRECTORY}' }.`,
    );
  }
  return { dataDir: DEFAULT_DIRECTORY };
}

/** The database of a configuration, not yet connected. */
export function createDatabase(
  config: Pick<ResolvedConfig, 'database' | 'schema' | 'poolSize' | 'name'>,
): Database {
  const { database, schema, poolSize, name } = config;
  if (typeof database === 'object' && database !== null && ('dataDir' in database || isPGlite(database))) {
    const connection = database as Parameters<typeof openPGliteDatabase>[0]['connection'];
    return openPGliteDatabase({ connection, schema });
  }
  return openPgDatabase({
    connection: database as string | pg.PoolConfig | pg.Pool,
    schema,
    poolSize,
    applicationName: name,
  });
}

function isPGlite(value: object): boolean {
  return 'waitReady' in value && typeof (value as { query?: unknown }).query === 'function';
}

function packageName(): string | undefined {
  try {
    const { name } = JSON.parse(readFileSync('package.json', 'utf8')) as { name?: unknown };
    return typeof name === 'string' && name !== '' ? name : undefined;
  } catch {
    return undefined;
  }
}
