// The turn that B1 to B4 share: run the counting workflow in lanes, check every value, check the rows at the end.
import type { Contender, Figures, Turn } from '../contract.ts';
import { measure } from '../measure.ts';
import type { BareDatabase } from '../peers/bare.ts';
import { expectedCount, type WorkflowApp } from '../peers/workflow-app.ts';

interface CountingLoad {
  steps: number;
  concurrency: number;
  /** What `perSecond` counts. */
  count: 'workflows' | 'steps';
}

export async function countingTurn(contender: Contender, turn: Turn, load: CountingLoad): Promise<Figures> {
  const app = await launch(contender, turn.databaseUrl, load);
  try {
    const figures = await measureCounting(app, turn, load);
    checkRows(await app.durable(), figures['totalRuns'] ?? 0, load.steps);
    return figures;
  } finally {
    await app.close();
  }
}

/** Checks every value; what the database holds in the end is up to the caller. */
export function measureCounting(
  app: Pick<WorkflowApp, 'count' | 'serverPids'>,
  turn: Turn,
  { steps, concurrency, count }: CountingLoad,
): Promise<Figures> {
  const { serverPids } = app;
  return measure(
    { ...turn, concurrency, unitsPerRun: count === 'steps' ? steps : 1, serverPids },
    async (seed) => {
      const value = await app.count(seed, steps);
      if (value !== expectedCount(seed, steps))
        throw new Error(`A workflow returned ${value}, expected ${expectedCount(seed, steps)}.`);
    },
  );
}

/** The floor of the concurrent scenarios: two connections, each with half of the workflows in one group. */
export async function groupCommitTurn(
  turn: Turn,
  { steps, concurrency, count }: CountingLoad,
): Promise<Figures> {
  const connections = 2;
  const size = concurrency / connections;
  const { openBare } = await import('../peers/bare.ts');
  return withBare(await openBare(turn.databaseUrl, connections), async (bare) => {
    let free = Array.from({ length: connections }, (_, index) => index);
    const figures = await measure(
      { ...turn, concurrency: connections, unitsPerRun: count === 'steps' ? size * steps : size },
      async () => {
        const [connection, ...others] = free;
        if (connection === undefined) throw new Error('More lanes than connections.');
        free = others;
        await bare.group(connection, size, steps);
        free = [...free, connection];
      },
    );
    checkRows(await bare.durable(), (figures['totalRuns'] ?? 0) * size, steps);
    return figures;
  });
}

export async function withBare<R>(bare: BareDatabase, use: (bare: BareDatabase) => Promise<R>): Promise<R> {
  try {
    return await use(bare);
  } finally {
    await bare.close();
  }
}

export function checkRows(
  found: { workflows: number; steps: number },
  workflows: number,
  steps: number,
): void {
  if (found.workflows !== workflows || found.steps !== workflows * steps) {
    throw new Error(
      `The database holds ${found.workflows} finished workflows with ${found.steps} steps; ` +
        `${workflows} workflows with ${workflows * steps} steps were reported as done.`,
    );
  }
}

// Imported on demand, so that no contender's process holds the code of another.
async function launch(
  contender: Contender,
  databaseUrl: string,
  { concurrency }: CountingLoad,
): Promise<WorkflowApp> {
  if (contender === 'dbos') return (await import('../peers/dbos.ts')).launchDbos(databaseUrl);
  if (contender === 'restate') return (await import('../peers/restate.ts')).launchRestate();
  if (contender === 'openworkflow') {
    const { launchOpenWorkflow } = await import('../peers/openworkflow.ts');
    return launchOpenWorkflow(databaseUrl, concurrency === 1 ? 'latency' : 'rate');
  }
  if (contender === 'pawl') return (await import('../peers/pawl.ts')).launchPawl(databaseUrl);
  throw new Error(`${contender} is not counted with here.`);
}

/** Where the bare group commit is more than twice as fast. */
export const groupHeld =
  'The machine is not at its limit (1.3 of 2 cores): a workflow waits in turn for the client, the server and the disk, and two flushes ' +
  'under way overlap. A third one made it slower (10,700 workflows/s against 13,800 in the same minute: three backends and the ' +
  "client on two cores), one alone a fifth. Of the server's time for a workflow of one step (54 µs when profiled), 24 are the update that ends it (the lock of " +
  'a step 7, its row 8): `status` stands in the predicates of the indexes by which queues, their slots and the workflows of a dead ' +
  'process are found, so the update cannot be heap-only, and goes into the primary key and the index by age again. ' +
  'Without those indexes, which nothing could do without, it is 4.5 µs less. ' +
  'Of the client, 30 to 45 µs a workflow, no function has more than 3%. What helped: array literals by `JSON.stringify`, both flushes sharing ' +
  'what came in one turn (a fifth), fences left out where the steps say the same.';
