// Two server processes over one database, clients that try again, and a SIGKILL at random, again and again: each key is
// worked on once and answered with one body. PAWL_KEYED_REQUESTS=2000 for the long form.
import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Shop, shopProgram, type ShopProgram } from './shop-processes.ts';

const REQUESTS = Number(process.env['PAWL_KEYED_REQUESTS'] ?? 300);
const CLIENTS = 20;

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: NodeJS.Dict<string | string[]>;
}

let database: TestDatabase;
let client: pg.Client;
let program: ShopProgram;
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  program = await shopProgram('keyed-shop.ts');
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('CREATE TABLE work (id integer GENERATED ALWAYS AS IDENTITY, key text)');
  await client.query('CREATE TABLE attempt (key text, attempt integer, process integer)');
});
afterAll(async () => {
  agent.destroy();
  program.killAll();
  await client.end();
  await database.drop();
});

/** One try. Undefined: no answer, or none within the patience of this client. */
function ask(port: number, path: string, key: string, patienceMs: number): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const body = JSON.stringify({ key });
    const headers = { 'Idempotency-Key': key, 'Content-Type': 'application/json' };
    const asked = request({ agent, port, host: '127.0.0.1', method: 'POST', path, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', () => resolve(undefined));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: text, headers: response.headers }),
      );
    });
    asked.setTimeout(patienceMs, () => asked.destroy());
    asked.on('error', () => resolve(undefined));
    asked.end(body);
  });
}

test(`${REQUESTS} keyed requests while servers are killed: each key once, one body for each key`, async () => {
  const frameworks = ['express5', 'koa3'];
  const startShop = (which: number): Promise<Shop> =>
    program.start(frameworks[which % 2] as string, database.url);
  const shops: Shop[] = await Promise.all([0, 1].map(startShop));
  const killed = new Set<number>();
  const bodies = new Map<string, Set<string>>();
  const pathOf = (key: string): string => (key.startsWith('order') ? '/orders' : '/wrapped');
  const keys = Array.from(
    { length: REQUESTS },
    (_, index) => `${index % 2 === 0 ? 'order' : 'wrapped'}-${index}`,
  );
  const waiting = [...keys];
  let working = CLIENTS;

  /** Until there is a final answer, as a client would. */
  async function answerOf(key: string, patienceMs: number): Promise<Answer> {
    for (let tries = 0; ; tries += 1) {
      expect(tries, `tries for ${key}`).toBeLessThan(2_000);
      const { port } = shops[Math.floor(Math.random() * shops.length)] as Shop;
      const answer = await ask(port, pathOf(key), key, tries % 3 === 2 ? 5_000 : patienceMs);
      if (answer?.status === 201) return answer;
      if (answer !== undefined) {
        // Nothing but these two is an answer to a request that is to be sent again.
        const { code, retryable } = JSON.parse(answer.body) as { code: string; retryable: boolean };
        expect([409, 503], answer.body).toContain(answer.status);
        expect([code, retryable]).toEqual([answer.status === 409 ? 'request-in-flight' : code, true]);
      }
      await pause(10 + Math.random() * 100);
    }
  }

  async function runClient(): Promise<void> {
    for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
      const seen = new Set<string>();
      bodies.set(key, seen);
      for (const patience of [30 + Math.random() * 300, 5_000]) {
        const answer = await answerOf(key, patience);
        // It was sent although it could not be recorded: nobody is promised to see that one again.
        expect(answer.headers['idempotency-stored']).toBeUndefined();
        seen.add(answer.body);
      }
    }
    working -= 1;
  }

  async function killNowAndThen(): Promise<void> {
    for (let kills = 0; working > 0; kills += 1) {
      // The next one is there already: two processes at most times, one at some.
      const next = await startShop(kills);
      await pause(Math.random() * 500);
      const which = Math.floor(Math.random() * shops.length);
      const shop = shops[which] as Shop;
      await shop.kill();
      killed.add(shop.pid);
      await pause(Math.random() * 200);
      shops[which] = next;
    }
  }

  await Promise.all([killNowAndThen(), ...Array.from({ length: CLIENTS }, runClient)]);

  // Long after, and from whatever process: still the same.
  for (const key of keys) bodies.get(key)?.add((await answerOf(key, 5_000)).body);
  const different = [...bodies].filter(([, seen]) => seen.size !== 1);
  expect(different).toEqual([]);
  expect(bodies.size).toBe(REQUESTS);

  const rows = async <T>(text: string): Promise<T[]> => (await client.query(text)).rows as T[];
  expect(await rows('SELECT key FROM work GROUP BY key HAVING count(*) <> 1')).toEqual([]);
  expect(await rows('SELECT count(DISTINCT key)::integer FROM work')).toEqual([{ count: REQUESTS }]);
  expect(await rows('SELECT status, count(*)::integer FROM pawl.workflow GROUP BY status')).toEqual([
    { status: 'SUCCESS', count: REQUESTS },
  ]);
  expect(await rows('SELECT state, count(*)::integer FROM pawl.http_request GROUP BY state')).toEqual([
    { state: 'done', count: REQUESTS },
  ]);

  // A handler may run more than once, but not twice for one attempt, not while another attempt is alive, and the last
  // attempt is the one that was answered.
  expect(await rows('SELECT key FROM attempt GROUP BY key, attempt HAVING count(*) <> 1')).toEqual([]);
  const attempts = await rows<{ key: string; attempt: number; process: number; last: number }>(
    'SELECT *, max(attempt) OVER (PARTITION BY key) AS last FROM attempt',
  );
  const overtaken = attempts.filter(({ attempt, last }) => attempt < last);
  expect(overtaken.filter(({ process }) => !killed.has(process))).toEqual([]);
  for (const { key, attempt, last } of attempts) {
    if (attempt === last)
      expect(JSON.parse([...(bodies.get(key) ?? [])][0] ?? '')).toMatchObject({ key, attempt });
  }
  expect(new Set(attempts.map(({ key }) => key)).size).toBe(REQUESTS / 2);
  expect(killed.size).toBeGreaterThan(0);
  console.log(`${killed.size} kills, ${overtaken.length} attempts taken over`);
}, 600_000);
