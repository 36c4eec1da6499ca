// The samples of a page, run as modules: each on a database of its own, beside what its imports name in `surroundings`.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll } from 'vitest';

const here = path.dirname(fileURLToPath(import.meta.url));
export const root = path.resolve(here, '../..');

export const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

/** Every page whose samples people copy. */
export const pages = [
  'README.md',
  ...readdirSync(path.join(root, 'packages')).map((name) => `packages/${name}/README.md`),
  ...readdirSync(path.join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** The code blocks of a page in TypeScript. */
export function samplesOf(page: string): string[] {
  return [...read(page).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);
}

export interface Samples {
  /** Where `save` puts them. */
  readonly directory: string;
  /** Saves a sample as a module. */
  save(name: string, code: string): string;
  /** The page's one sample that has this text, with some of it replaced by what a test needs. */
  sample(has: string, replace?: Record<string, string>): string;
  /** Runs it, on a fresh database with these tables. */
  run<Exports>(name: string, code: string, tables?: string): Promise<Exports>;
  sql(text: string): Promise<Record<string, unknown>[]>;
  /** Before the databases go. */
  atEnd(stop: () => Promise<unknown>): void;
}

/** Call it once in a test file. */
export function samplesIn(page: string): Samples {
  const directory = mkdtempSync(path.join(here, '.samples-'));
  const environment = process.env['DATABASE_URL'];
  const databases: TestDatabase[] = [];
  const stops: (() => Promise<unknown>)[] = [];
  afterAll(async () => {
    for (const stop of stops.toReversed()) await stop();
    for (const database of databases) await database.drop();
    if (environment === undefined) delete process.env['DATABASE_URL'];
    else process.env['DATABASE_URL'] = environment;
    rmSync(directory, { recursive: true, force: true });
  });

  const save = (name: string, code: string): string => {
    const file = path.join(directory, `${name}.ts`);
    writeFileSync(file, code.replaceAll("from './", "from '../surroundings/"));
    return file;
  };
  const sql = async (text: string) => {
    const client = new pg.Client({ connectionString: process.env['DATABASE_URL'] });
    await client.connect();
    try {
      return (await client.query(text)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  };
  return {
    directory,
    save,
    sql,
    sample(has, replace = {}) {
      const [code, ...others] = samplesOf(page).filter((block) => block.includes(has));
      if (code === undefined || others.length > 0) throw new Error(`Not exactly one sample has ${has}`);
      return Object.entries(replace).reduce((text, [from, to]) => {
        if (!text.includes(from)) throw new Error(`The sample does not have ${from}`);
        return text.replace(from, () => to);
      }, code);
    },
    async run<Exports>(name: string, code: string, tables = '') {
      const database = await createDatabase();
      databases.push(database);
      process.env['DATABASE_URL'] = database.url;
      if (tables !== '') await sql(tables);
      return (await import(save(name, code))) as Exports;
    },
    atEnd: (stop) => void stops.push(stop),
  };
}
