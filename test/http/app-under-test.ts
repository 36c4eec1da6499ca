// The life of one suite: a database, a launched Pawl, and for each test a server that closes behind it.
// The conformance suite runs every case on each framework and on both kinds of database.
import type { Server } from 'node:http';
import { Pawl, type PawlConfig, type RegisterOptions, type Workflow } from '@pawl/core';
import type { Defaults } from '@pawl/core/http';
import { createDatabase, createEmbedded } from '@pawl/test-support';
import pg from 'pg';
import request from 'supertest';
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { type App, type Framework, frameworks, type Seen } from './frameworks.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export interface AppUnderTest {
  readonly framework: Framework;
  readonly pawl: Pawl;
  /** PGlite in this process, in place of a server. */
  readonly embedded: boolean;
  readonly server: Server;
  /** What the idempotency routes have sent to the database, by the name of the function. */
  readonly statements: string[];
  serve(define: (app: App) => void, defaults?: Defaults<Seen>): void;
  /** Registers a workflow under a name that the suite has to itself: the Pawl is shared with other frameworks. */
  register<A extends unknown[], R>(
    name: string,
    fn: (...args: A) => Promise<R>,
    options?: RegisterOptions,
  ): Workflow<A, R>;
  newKey(): string;
  post(path: string, key: string | undefined, body?: object): request.Test;
  get(path: string): request.Test;
  sql(text: string, params?: unknown[]): Promise<Record<string, unknown>[]>;
}

interface Store {
  readonly pawl: Pawl;
  readonly embedded: boolean;
  readonly statements: string[];
  sql: AppUnderTest['sql'];
  close(): Promise<void>;
}

type DatabaseKind = 'Postgres' | 'PGlite';

/**
 * Runs the suite for every framework on every kind of database. The frameworks of a file share one Pawl for each
 * database: what they leave there (workflow ids, keys) must carry `framework.name`.
 */
export function describeOnEach(
  title: string,
  suite: (app: AppUnderTest) => void,
  config: PawlConfig = {},
): void {
  describe.each<DatabaseKind>(['Postgres', 'PGlite'])(`${title}, with %s`, (kind) => {
    const store = launched(kind, config);
    describe.each(frameworks)('on $name', (framework) => suite(underTest(framework, store)));
  });
}

/** One framework on a server, with a Pawl of its own. Call it inside of a `describe`. */
export function appUnderTest(framework: Framework, config: PawlConfig = {}): AppUnderTest {
  return underTest(framework, launched('Postgres', config));
}

function launched(kind: DatabaseKind, config: PawlConfig): () => Store {
  let store: Store | undefined;
  beforeAll(async () => {
    store = kind === 'PGlite' ? await embedded(config) : await onServer(config);
    const { statements } = store;
    internals(store.pawl).events.on('statement', ({ text }) => {
      const name = /\.(http_(?:claim|settle|look))\(/.exec(text)?.[1];
      if (name !== undefined) statements.push(name);
    });
    await store.pawl.launch();
  });
  afterAll(async () => {
    await store?.pawl.shutdown({ graceSeconds: 0 });
    await store?.close();
  });
  return () => {
    if (store === undefined) throw new Error('The database is there from beforeAll() on.');
    return store;
  };
}

async function embedded(config: PawlConfig): Promise<Store> {
  const database = await createEmbedded();
  return {
    pawl: new Pawl({ database, logger: silent, ...config }),
    embedded: true,
    statements: [],
    sql: async (text, params) => (await database.query<Record<string, unknown>>(text, params)).rows,
    close: () => database.close(),
  };
}

async function onServer(config: PawlConfig): Promise<Store> {
  const database = await createDatabase();
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  pool.on('error', () => undefined);
  return {
    pawl: new Pawl({ database: database.url, logger: silent, ...config }),
    embedded: false,
    statements: [],
    sql: async (text, params) => (await pool.query<Record<string, unknown>>(text, params)).rows,
    close: async () => {
      await pool.end();
      await database.drop();
    },
  };
}

/** Keys belong to the user in `X-User`, else to alice. */
function underTest(framework: Framework, store: () => Store): AppUnderTest {
  let servers: Server[] = [];
  let keys = 0;

  afterEach(async () => {
    const closing = servers;
    servers = [];
    for (const server of closing) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  const last = (): Server => servers[servers.length - 1] as Server;
  return {
    framework,
    get pawl() {
      return store().pawl;
    },
    get embedded() {
      return store().embedded;
    },
    get server() {
      return last();
    },
    get statements() {
      return store().statements;
    },
    serve(define, defaults = { scope: ({ headers }) => String(headers['x-user'] ?? 'alice') }) {
      servers.push(framework.serve(store().pawl, defaults, define));
      last().listen(0, '127.0.0.1');
    },
    register: (name, fn, options = {}) =>
      store().pawl.registerWorkflow(fn, { ...options, name: `${name} on ${framework.name}` }),
    newKey: () => `${framework.name}-key-${(keys += 1)}`,
    post(path, key, body = { a: 1 }) {
      const asked = request(last()).post(path);
      return (key === undefined ? asked : asked.set('Idempotency-Key', key)).send(body);
    },
    get: (path) => request(last()).get(path),
    sql: (text, params) => store().sql(text, params),
  };
}

/** A promise and the function that resolves it. */
export function gate(): { readonly opened: Promise<void>; open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
