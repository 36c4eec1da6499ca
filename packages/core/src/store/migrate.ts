// Numbered SQL files, applied in order, each once, in one transaction under an advisory lock, so that any number
// of processes may launch at once.

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ConfigurationError } from '../errors/index.ts';
import type { Database, Queryable } from './database.ts';
import { quoteIdentifier, schemaClass } from './schema-name.ts';

const DIRECTORY = new URL('../../sql/', import.meta.url);
const LOCK = 0x7061776c;

interface Migration {
  number: number;
  name: string;
  text: string;
}

function readMigrations(): Migration[] {
  return readdirSync(fileURLToPath(DIRECTORY))
    .filter((file) => /^\d{4}_.*\.sql$/.test(file))
    .sort()
    .map((file) => ({
      number: Number(file.slice(0, 4)),
      name: file.slice(5, -4),
      text: readFileSync(new URL(file, DIRECTORY), 'utf8'),
    }));
}

/** Brings the schema up to date. One query if it is. Returns the names of what was applied. */
export async function migrate(database: Database): Promise<string[]> {
  const migrations = readMigrations();
  const last = migrations[migrations.length - 1]?.number ?? 0;
  if ((await appliedNumber(database, database.schema)) >= last) return [];
  return database.transaction({}, async (client) => {
    const tx: Queryable = { query: (text, params) => client.query(database.qualify(text), params) };
    await tx.query('SELECT pg_advisory_xact_lock($1, $2)', [LOCK, schemaClass(database.schema)]);
    const applied = await appliedNumber(tx, database.schema);
    if (applied >= last) return [];
    if (applied === 0) {
      // Sent as it is: the name itself may hold `pawl.`.
      await client.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(database.schema)}`);
      await tx.query(`CREATE TABLE IF NOT EXISTS pawl.migration (
        number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`);
    }
    // What a body refers to may come in a later file; and it is compiled when it first runs. A third less time embedded.
    await tx.query('SET LOCAL check_function_bodies = off');
    const names: string[] = [];
    for (const migration of migrations.filter((m) => m.number > applied)) {
      for (const statement of splitStatements(withSafeQuotes(migration.text, database.schema)))
        await tx.query(statement);
      await tx.query('INSERT INTO pawl.migration (number, name) VALUES ($1, $2)', [
        migration.number,
        migration.name,
      ]);
      names.push(migration.name);
    }
    return names;
  });
}

export interface SchemaVersion {
  /** The last migration that the schema has; 0: there is none. */
  applied: number;
  /** The last one that this version of Pawl knows. */
  known: number;
}

export async function readSchemaVersion(database: Database): Promise<SchemaVersion> {
  return {
    applied: await appliedNumber(database, database.schema),
    known: readMigrations().at(-1)?.number ?? 0,
  };
}

/** For who does not migrate: an error that says what is missing. */
export async function checkMigrated(database: Database): Promise<void> {
  const { applied, known } = await readSchemaVersion(database);
  if (applied >= known) return;
  throw new ConfigurationError(
    `Schema "${database.schema}" has ${applied === 0 ? 'no migrations' : `migrations up to ${applied} of ${known}`}, and ` +
      '`migrate` is false. Run `npx pawl migrate`, or launch once with `migrate: true`, as a role that may create tables.',
  );
}

/** The highest applied number, 0 for an empty or missing schema. */
async function appliedNumber(on: Queryable, schema: string): Promise<number> {
  // Not to_regclass: it looks into a cache that may be older than the lock, and miss what a peer has just migrated.
  const { rows } = await on.query<{ there: boolean }>(
    `SELECT EXISTS (
       SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = 'migration') AS there`,
    [schema],
  );
  if (!rows[0]?.there) return 0;
  const { rows: numbers } = await on.query<{ number: number }>(
    'SELECT coalesce(max(number), 0)::integer AS number FROM pawl.migration',
  );
  return numbers[0]?.number ?? 0;
}

/** A schema's name may hold `$$`: bodies are quoted with a tag that it does not hold, and names in them with another. */
function withSafeQuotes(text: string, schema: string): string {
  let tag = 'pawl';
  while (schema.includes(tag)) tag += 'x';
  return text.replaceAll('$$', () => `$${tag}$`).replaceAll('$q$', () => `$${tag}q$`);
}

/** Statements end with a semicolon at the end of a line, outside `$tag$` bodies. PGlite takes one at a time. */
function splitStatements(text: string): string[] {
  const statements: string[] = [];
  let current = '';
  let inBody = false;
  for (const line of text.split('\n')) {
    if (!inBody && (line.trim() === '' || line.trimStart().startsWith('--'))) continue;
    current += `${line}\n`;
    const tags = line.match(/\$[a-z]*\$/g)?.length ?? 0;
    if (tags % 2 === 1) inBody = !inBody;
    if (!inBody && line.trimEnd().endsWith(';')) {
      statements.push(current);
      current = '';
    }
  }
  if (current.trim() !== '') statements.push(current);
  return statements;
}
