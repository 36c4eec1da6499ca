// B11: POST with an Idempotency-Key through Express and Koa, 50 connections. The server is a process of its own, this one
// is the load. New keys and replays are scenarios apart; the bare handler knows no keys, and inserts every time.
import { Pool } from 'undici';
import type { Contender, Figures, Scenario, Turn } from '../contract.ts';
import { withClient } from '../database.ts';
import type { Framework } from '../http/apps.ts';
import { startServer } from '../http/server-process.ts';
import { measure, ownCpuMicros } from '../measure.ts';
import type { Mode } from '../peers/http-pawl.ts';

const connections = 50;
/** How many keys are replayed, in turn. */
const replayed = 1_000;

interface Variant {
  framework: Framework;
  mode: Mode;
  keys: 'new' | 'replay';
}

const helped =
  'What helped: one statement for all of a batch in place of one for each (16 claims 760 to 402 µs of the server, 16 answers 859 to ' +
  '509), prepared statements (50 µs a batch), and no second small batch beside one that is under way (2,350 to 3,100 requests/s). ' +
  'What did not: one flush at a time until twenty operations wait, generic plans. ';
const ceiling =
  'Ten times DBOS is about what the bare handler does (9.1 to 12.4 times), which keeps no key: a request is 280 to 400 µs of the two ' +
  'cores there, server, load and all, 480 to 910 with Pawl, and 3,300 to 3,800 with DBOS.';
const held: Record<`${Mode} ${Variant['keys']}`, string> = {
  'idempotent new':
    'The handler does its INSERT, and its key costs two commits more: the claim before it and the answer after it, each shared with ' +
    'others, by 8 to 20 at a time; every shared one costs the server 100 to 300 µs before its first row. ' +
    helped +
    ceiling,
  'endpoint new':
    "Four commits one after another where the bare handler has one: claim, start, the step with the handler's INSERT, and the end with the " +
    'answer; all but the INSERT shared with others, by 5 to 10 at a time. The claim has to be durable before the workflow starts, and the ' +
    'answer before its first byte leaves. In Koa a request is 320 µs of the process and 330 of the server, against 133 and 106, and the two cores are ' +
    'nearly full (1.7 of 2, with the load): what counts is CPU. When the answer had a commit of its own, Koa reached 0.38, without any record of it 0.47, ' +
    'and without claims as well 0.55. What helped: the answer in the commit that ends the workflow (Express 0.41 to 0.45, 0.47 and 0.48 in three runs, Koa 0.37 to ' +
    '0.42, the server a tenth less), once nothing held on to requests that had been answered: Koa gained nothing from it before, for a third more garbage ' +
    'collection. What did not: one flush under way, or three, in place of two; a second flush only from twelve operations on. What was taken back: claim and start in one commit ' +
    '(0.44 and 0.41 in place of 0.41 and 0.34): a start whose answer is lost has to be sent until its fate is known, so that a request which was ' +
    'answered with 503 could run later. Ten times DBOS: as above.',
  'idempotent replay':
    'A replay writes nothing: one read of the key, shared with others, 21 to 25 µs of the server. What is left is the HTTP stack, the ' +
    "SHA-256 of key and body, and the answer: 95 µs of the process in Koa, 180 in Express, which fills a core of its own. DBOS's " +
    'replay is one read, too, and 1,150 to 1,430 µs, load and all; ten times its rate would be three times the bare handler.',
  'endpoint replay': '',
};
held['endpoint replay'] = held['idempotent replay'];

const frameworks: readonly Framework[] = ['express', 'koa'];
const modes: readonly Mode[] = ['idempotent', 'endpoint'];

export const b11: readonly Scenario[] = frameworks.flatMap((framework) =>
  modes.flatMap((mode) => [
    scenarioOf({ framework, mode, keys: 'new' }),
    scenarioOf({ framework, mode, keys: 'replay' }),
  ]),
);

function scenarioOf(variant: Variant): Scenario {
  const { framework, mode, keys } = variant;
  return {
    id: `B11-${framework}-${mode}-${keys}`,
    title: `POST through ${framework}, ${mode}, ${keys === 'new' ? 'new keys' : 'replays'}, 50 connections`,
    unit: 'requests/s',
    contenders: ['pawl', 'dbos', 'bare'],
    targets: [
      { against: 'bare', figure: 'perSecond', bound: { atLeast: 0.5 } },
      { against: 'dbos', figure: 'perSecond', bound: { atLeast: 10 } },
    ],
    held: held[`${mode} ${keys}`],
    turn: (contender, turn) => orderingTurn(contender, turn, variant),
  };
}

async function orderingTurn(contender: Contender, turn: Turn, variant: Variant): Promise<Figures> {
  await using server = await startServer({ contender, databaseUrl: turn.databaseUrl, ...variant });
  const pool = new Pool(server.origin, { connections, pipelining: 1 });
  try {
    const replays = variant.keys === 'replay' && contender !== 'bare';
    if (replays) await Promise.all(Array.from({ length: replayed }, (_, key) => order(pool, key, false)));
    // DBOS does not say what is a replay.
    const marked = replays && contender === 'pawl';
    const before = ownCpuMicros();
    const figures = await measure(
      { ...turn, concurrency: connections, cpuMicros: server.cpuMicros },
      replays ? (n) => order(pool, n % replayed, marked) : (n) => order(pool, n, false),
    );
    const loadCpuMicrosPerUnit = (ownCpuMicros() - before) / (figures['totalRuns'] ?? 0);
    await checkOrders(turn.databaseUrl, replays ? replayed : (figures['totalRuns'] ?? 0));
    return { ...figures, loadCpuMicrosPerUnit };
  } finally {
    await pool.destroy();
  }
}

async function order(pool: Pool, key: number, marked: boolean): Promise<void> {
  const id = `order-${key}`;
  const body = JSON.stringify({ id, sku: 'cog', quantity: 3 });
  const {
    statusCode,
    headers,
    body: answer,
  } = await pool.request({
    method: 'POST',
    path: '/orders',
    headers: { 'content-type': 'application/json', 'idempotency-key': `"${id}"` },
    body,
  });
  const text = await answer.text();
  if (statusCode !== 201 || text !== body || (headers['idempotent-replayed'] === 'true') !== marked) {
    throw new Error(`${id} was answered with ${statusCode} ${JSON.stringify(headers)} ${text}`);
  }
}

/** Each key's order is there, once: a second INSERT of it fails, and so does its request. */
async function checkOrders(databaseUrl: string, expected: number): Promise<void> {
  const { rows } = await withClient(databaseUrl, (client) =>
    client.query<{ count: number }>('select count(*)::int as count from orders'),
  );
  if (rows[0]?.count !== expected) {
    throw new Error(`The database holds ${rows[0]?.count} orders of ${expected} keys.`);
  }
}
