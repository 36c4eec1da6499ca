// Readers of streams that another process writes. Two Pawls on one schema stand for the processes.
import { setTimeout as pause } from 'node:timers/promises';
import { Pawl, PawlClient } from '@pawl/core';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { quiet } from '@pawl/test-support/drivers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { internals } from '../../packages/core/src/app/internals.ts';
import { becomes } from '../http/telling.ts';
import { within } from '../processes-suite/workers.ts';

const READERS = 1_000;
let database: TestDatabase;
let writer: Pawl;
let reader: PawlClient;
let statements: string[] = [];
let made = 0;

beforeAll(async () => {
  database = await createDatabase();
  writer = new Pawl({ database: database.url, logger: quiet });
  // Writes each word that it is sent to the stream of that name, until one is ''.
  writer.registerWorkflow(
    async () => {
      for (let word; (word = await writer.recv<string>('word', 600)) !== '' && word !== null;)
        await writer.writeStream(word, Date.now());
    },
    { name: 'echo' },
  );
  await writer.launch();
  reader = new PawlClient({ database: database.url, logger: quiet });
  internals(reader).events.on('statement', ({ text }) => statements.push(text));
  await reader.connect();
});

afterAll(async () => {
  await reader.close();
  await writer.shutdown({ graceSeconds: 0 });
  await database.drop();
});

async function start(): Promise<string> {
  const workflowID = `echo-${++made}`;
  await writer.startWorkflow('echo', { workflowID })();
  return workflowID;
}
const say = (id: string, word: string) => writer.send(id, word, 'word');
const waiting = () => internals(reader).runtime.waiting;
const waiters = async (id: string) =>
  (
    await internals(writer).database.query(
      `SELECT key FROM pawl.waiter WHERE target = $1 AND kind = 's' ORDER BY key`,
      [id],
    )
  ).rows.map(({ key }) => key as string);

/** From the write of a value, or a little before, to its reader, in milliseconds. */
async function delay(): Promise<number> {
  const id = await start();
  const values = reader.readStream<number>(id, 'key')[Symbol.asyncIterator]();
  const next = values.next();
  await becomes(async () => (await waiters(id)).length === 1);
  await say(id, 'key');
  const { value } = await next;
  const arrived = Date.now();
  await values.return?.();
  await say(id, '');
  return arrived - (value as number);
}

test('a value arrives with a hint at once, and without one at the next look', async () => {
  await within(100, 6, 'a value of a stream:', delay);
  const { hints } = internals(writer).runtime;
  const { tell } = hints;
  Object.assign(hints, { tell: () => {} });
  await within(1000, 4, 'a value of a stream, without hints:', delay);
  Object.assign(hints, { tell });
});

test('a write wakes the readers of its stream and nobody else', async () => {
  const id = await start();
  const [a, b] = ['a', 'b'].map((key) => reader.readStream(id, key)[Symbol.asyncIterator]());
  const [nextOfA, nextOfB] = [a?.next(), b?.next()];
  await becomes(async () => (await waiters(id)).length === 2);
  await say(id, 'a');
  expect((await nextOfA)?.done).toBe(false);
  expect(await waiters(id)).toEqual(['b']);
  await say(id, '');
  expect((await nextOfB)?.done).toBe(true);
  await a?.return?.();
  await becomes(() => waiting() === 0);
});

test('a thousand idle readers cost one look a tick, and leave nothing when they go', async () => {
  const ids = await Promise.all(Array.from({ length: 20 }, start));
  const readers = Array.from({ length: READERS }, (_, n) =>
    reader.readStream(ids[n % 20] as string, `key ${n % 50}`)[Symbol.asyncIterator](),
  );
  const nexts = readers.map((each) => each.next());
  await becomes(() => waiting() === READERS);
  // The first looks are through, as a rule, when a tick has its one look and nothing comes beside it.
  const duringTick = async () => {
    const before = statements.length;
    await internals(reader).runtime.executor.tickNow();
    return statements.length - before;
  };
  await expect.poll(duringTick, { interval: 20 }).toBe(1);
  // Once the last of them are: a look a tick, twice a second.
  for (let window = 1; ; window++) {
    statements = [];
    await pause(2_000);
    if (statements.length <= 6) break;
    expect(window).toBeLessThan(8);
  }
  for (const text of statements) expect(text).toContain('watch');
  await Promise.all(readers.slice(0, READERS / 2).map(async (each) => each.return?.()));
  for (const id of ids) await say(id, '');
  for (const { done } of await Promise.all(nexts)) expect(done).toBe(true);
  expect(waiting()).toBe(0);
  for (const id of ids) await becomes(async () => (await waiters(id)).length === 0);
}, 60_000);
