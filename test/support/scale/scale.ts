// Programs that show what many workflows cost: asleep, taken over, run one after another. Each takes its numbers, so
// that a test runs it small and the benchmark as large as it was promised. They check what they measure.
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { copyWorkflow } from '../copies.ts';
import { type App, type AppOptions, startApp } from './apps.ts';

type Query = <Row extends pg.QueryResultRow>(
  text: string,
  params?: unknown[],
) => Promise<pg.QueryResult<Row>>;

interface ScaleOptions {
  databaseURL: string;
  execArgv?: readonly string[] | undefined;
}

async function withQuery<T>(url: string, use: (query: Query) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await use((text, params) => client.query(text, params));
  } finally {
    await client.end();
  }
}

async function until(what: string, holds: () => Promise<boolean>, seconds = 120): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`After ${seconds} s it is not so that ${what}.`);
    await setTimeout(25);
  }
}

const MEGABYTE = 1024 * 1024;

export interface Sleepers extends ScaleOptions {
  /** Started by the process that is measured. */
  real: number;
  /** Copied in the database. */
  copied: number;
  /** How many become due at one moment. */
  due: number;
  idleSeconds: number;
  messages: number;
}

export interface SleepersFigures {
  /** What the process holds more than without any of them. */
  heapGrowthMB: number;
  statementsPerSecond: number;
  /** From the moment that they are due until the last one has gone on. */
  resumedSeconds: number;
  /** From a send in another process until the workflow went on, median and worst. */
  messageP50Ms: number;
  messageMaxMs: number;
}

/** Workflows asleep for a day, half of them until a message comes. */
export async function sleepers(options: Sleepers): Promise<SleepersFigures> {
  const { databaseURL, real, copied, due, idleSeconds, messages } = options;
  await using app = await startApp(options);
  return await withQuery(databaseURL, async (query) => {
    const parked = async (): Promise<number> => {
      const { rows } = await query<{ n: number }>(
        `SELECT count(*)::int AS n FROM pawl.workflow WHERE status = 'PENDING' AND owner IS NULL`,
      );
      return rows[0]?.n ?? 0;
    };
    // The first ones pay for code and connections.
    await app.call('run', 1000);
    await app.call('start', 'sleeper', 'first', 1);
    await app.call('start', 'receiver', 'first-receiver', 1);
    await until('the first ones are parked', async () => (await parked()) === 2);
    const before = await app.call('heap');

    await app.call('start', 'sleeper', 'sleeper', real / 2);
    await app.call('start', 'receiver', 'receiver', real / 2);
    await copyWorkflow(query, { from: 'first-1', prefix: 'copy', count: copied / 2 });
    await copyWorkflow(query, { from: 'first-receiver-1', prefix: 'copied-receiver', count: copied / 2 });
    await until('all are parked', async () => (await parked()) === real + copied + 2);

    await app.call('statements');
    await setTimeout(idleSeconds * 1000);
    const statements = await app.call('statements');
    const heapGrowthMB = ((await app.call('heap')) - before) / MEGABYTE;

    const { rows } = await query<{ due: number }>(
      `WITH moment AS (SELECT date_trunc('second', now()) + interval '3 seconds' AS due),
        steps AS (UPDATE pawl.step s SET deadline = m.due FROM moment m, generate_series(1, $1) n
                  WHERE s.workflow_id = 'copy-' || n AND s.kind = 'sleep'),
        workflows AS (UPDATE pawl.workflow w SET wake_at = m.due FROM moment m, generate_series(1, $1) n
                      WHERE w.id = 'copy-' || n)
       SELECT (extract(epoch FROM due) * 1000)::float8 AS due FROM moment`,
      [due],
    );
    await app.call('went', true);
    await until('all that were due went on', async () => (await app.call('went', false)).count === due);
    const { last, first } = await app.call('went', true);
    const dueAt = rows[0]?.due ?? 0;
    if (first < dueAt) throw new Error('A workflow went on before it was due.');
    await until('they have ended', async () => (await parked()) === real + copied + 2 - due);

    await using sender = await startApp(options);
    const latencies: number[] = [];
    for (let n = 1; n <= messages; n++) {
      const id = `${n % 2 === 0 ? 'receiver' : 'copied-receiver'}-${n}`;
      await sender.call('send', id);
      latencies.push(await app.call('result', id));
    }
    latencies.sort((a, b) => a - b);
    return {
      heapGrowthMB,
      statementsPerSecond: statements / idleSeconds,
      resumedSeconds: (last - dueAt) / 1000,
      messageP50Ms: latencies[latencies.length >> 1] ?? Number.NaN,
      messageMaxMs: latencies.at(-1) ?? Number.NaN,
    };
  });
}

export interface TakeoverFigures {
  /** From SIGKILL of their owner until the first, and the last, went on elsewhere. */
  firstSeconds: number;
  lastSeconds: number;
}

/** Running workflows whose owner is killed, with one peer up. */
export async function takeover(options: ScaleOptions & { workflows: number }): Promise<TakeoverFigures> {
  const { databaseURL, workflows } = options;
  await using peer = await startApp(options);
  await using owner = await startApp({ ...options, hangs: true } satisfies AppOptions);
  return await withQuery(databaseURL, async (query) => {
    await owner.call('start', 'hanging', 'hanging', workflows);
    const count = async (text: string): Promise<number> =>
      (await query<{ n: number }>(`SELECT count(*)::int AS n FROM ${text}`)).rows[0]?.n ?? 0;
    const begun = `pawl.step WHERE name = 'before' AND completed_at IS NOT NULL`;
    await until('all run', async () => (await count(begun)) === workflows);
    const killed = Date.now();
    await owner.kill();
    const ended = `pawl.workflow WHERE status = 'SUCCESS' AND attempts = 1`;
    await until('all have ended elsewhere', async () => (await count(ended)) === workflows);
    const went = await peer.call('went', false);
    if (went.count !== workflows)
      throw new Error(`${went.count} of ${workflows} went on, or some more than once.`);
    return { firstSeconds: (went.first - killed) / 1000, lastSeconds: (went.last - killed) / 1000 };
  });
}

export interface EnduranceFigures {
  heapGrowthMB: number;
  connectionGrowth: number;
  perSecond: number;
}

/** So many workflows through one process: what it holds afterwards, against what it held after the first ones. */
export async function endurance(
  options: ScaleOptions & { first: number; workflows: number },
): Promise<EnduranceFigures> {
  const { databaseURL, first, workflows } = options;
  await using app: App = await startApp(options);
  return await withQuery(databaseURL, async (query) => {
    const connections = async (): Promise<number> => {
      const { rows } = await query<{ n: number }>(
        'SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database()',
      );
      return rows[0]?.n ?? 0;
    };
    await app.call('run', first);
    const [heapBefore, connectionsBefore] = [await app.call('heap'), await connections()];
    const begun = performance.now();
    await app.call('run', workflows);
    const seconds = (performance.now() - begun) / 1000;
    return {
      heapGrowthMB: ((await app.call('heap')) - heapBefore) / MEGABYTE,
      connectionGrowth: (await connections()) - connectionsBefore,
      perSecond: workflows / seconds,
    };
  });
}
