// The writer's process is killed around its commits: each value is there once, in order, for readers in other processes
// that were there all the time, and for those that come and go.
import { PawlClient } from '@pawl/core';
import type { CrashPoint } from '@pawl/core/testing';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Program, startProgram } from '../processes-suite/process.ts';
import type { Writer } from './processes/writer.ts';

const WRITER = new URL('processes/writer.ts', import.meta.url);
const COUNT = 12;
const VALUES = Array.from({ length: COUNT }, (_, n) => n);

const points: CrashPoint[] = (['before-commit', 'commit-unanswered', 'after-commit'] as const).flatMap(
  (when) => [
    { when, kind: 'writeStream', name: 'key', nth: 5 },
    { when, kind: 'closeStream' },
  ],
);
const titleOf = ({ when, kind, nth = 1 }: CrashPoint) => `${when} of ${kind} ${nth}`;

/** The methods of a program that dies reject. */
async function crash(writer: Program<Writer>, id: string, point: CrashPoint): Promise<void> {
  const died = writer.call('crash', id, point).catch(() => {});
  expect(await writer.ended).toBe('SIGKILL');
  await died;
}

describe('on a server, with another process to take over', () => {
  let database: TestDatabase;
  let peer: Program<Writer>;
  let client: PawlClient;
  let sql: pg.Pool;

  beforeAll(async () => {
    database = await createDatabase();
    peer = await startProgram<Writer>(WRITER, { DATABASE: database.url });
    await peer.call('ready');
    client = await new PawlClient({ database: database.url }).connect();
    sql = new pg.Pool({ connectionString: database.url, max: 1 });
  });
  afterAll(async () => {
    await peer.kill();
    await client.close();
    await sql.end();
    await database.drop();
  });

  /** Leaves after each third value, and comes back for the next one. */
  async function inStints(id: string): Promise<unknown[]> {
    const values: unknown[] = [];
    for (let ended = false; !ended;) {
      ended = true;
      for await (const value of client.readStream(id, 'key', { offset: values.length })) {
        values.push(value);
        ended = values.length % 3 !== 0;
        if (!ended) break;
      }
    }
    return values;
  }

  async function whole(id: string, key: string): Promise<unknown[]> {
    const values: unknown[] = [];
    for await (const value of client.readStream(id, key)) values.push(value);
    return values;
  }

  test.concurrent.each(points.map((point) => ({ title: titleOf(point), point })))(
    'a crash $title is not to be seen by any reader',
    async ({ title, point }) => {
      const readers = [whole(title, 'key'), inStints(title), whole(title, 'other')];
      const writer = await startProgram<Writer>(WRITER, { DATABASE: database.url });
      await writer.call('ready');
      await crash(writer, title, point);
      expect(await Promise.all(readers)).toEqual([VALUES, VALUES, [0, 3, 6, 9]]);
      const { rows } = await sql.query(
        `SELECT position, value::integer AS value, closed FROM pawl.stream WHERE workflow_id = $1 AND key = 'key'
         ORDER BY position`,
        [title],
      );
      expect(rows).toEqual([
        ...VALUES.map((n) => ({ position: n, value: n, closed: false })),
        { position: COUNT, value: null, closed: true },
      ]);
    },
    60_000,
  );

  test.concurrent.each((['before-commit', 'commit-unanswered'] as const).map((when) => ({ when })))(
    'a workflow whose process dies $when of what it has read is given each value once',
    async ({ when }) => {
      const id = `read ${when}`;
      const reader = await startProgram<Writer>(WRITER, { DATABASE: database.url });
      await reader.call('ready');
      const died = reader
        .call('crashReading', id, `${id} of`, { when, kind: 'readStream', nth: 2 })
        .catch(() => {});
      await peer.call('start', `${id} of`);
      expect(await reader.ended).toBe('SIGKILL');
      await died;
      expect(await client.retrieveWorkflow(id).getResult()).toEqual(VALUES);
    },
    60_000,
  );
});
