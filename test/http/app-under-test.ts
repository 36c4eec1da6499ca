// The life of one suite: a fresh database, a launched Pawl, and for each test a server that closes behind it.
import type { Server } from 'node:http';
import { Pawl, type PawlConfig } from '@pawl/core';
import type { Defaults } from '@pawl/core/http';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import request from 'supertest';
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { App, Framework, Seen } from './frameworks.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

export interface AppUnderTest {
  readonly pawl: Pawl;
  readonly server: Server;
  serve(define: (app: App) => void, defaults?: Defaults<Seen>): void;
  newKey(): string;
  post(path: string, key: string | undefined, body?: object): request.Test;
  get(path: string): request.Test;
  sql(text: string, params?: unknown[]): Promise<Record<string, unknown>[]>;
}

/** Call it inside of a `describe`. Keys belong to the user in `X-User`, else to alice. */
export function appUnderTest(framework: Framework, config: PawlConfig = {}): AppUnderTest {
  let database: TestDatabase;
  let pawl: Pawl;
  let servers: Server[] = [];
  let keys = 0;

  beforeAll(async () => {
    database = await createDatabase();
    pawl = new Pawl({ database: database.url, logger: silent, ...config });
    await pawl.launch();
  });
  afterAll(async () => {
    await pawl.shutdown({ graceSeconds: 0 });
    await database.drop();
  });
  afterEach(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    servers = [];
  });

  const last = (): Server => servers[servers.length - 1] as Server;
  return {
    get pawl() {
      return pawl;
    },
    get server() {
      return last();
    },
    serve(define, defaults = { scope: ({ headers }) => String(headers['x-user'] ?? 'alice') }) {
      servers.push(framework.serve(pawl, defaults, define));
      last().listen(0, '127.0.0.1');
    },
    newKey: () => `${framework.name}-key-${(keys += 1)}`,
    post(path, key, body = { a: 1 }) {
      const asked = request(last()).post(path);
      return (key === undefined ? asked : asked.set('Idempotency-Key', key)).send(body);
    },
    get: (path) => request(last()).get(path),
    async sql(text, params) {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      try {
        return (await client.query(text, params)).rows as Record<string, unknown>[];
      } finally {
        await client.end();
      }
    },
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
