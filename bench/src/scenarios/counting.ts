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
  'Both fill 1.3 to 1.4 of the two cores, so the ratio is that of the CPU: a workflow of one step costs 25 µs of the process and 37 of the ' +
  'server against 8 and 24, a step of ten 8.3 and 15.3 against 2.9 and 8.2. The median of a run was 0.44 to 0.49 in B3 and 0.48 to 0.52 in B4 in those of ' +
  "this program's last versions. Of the server's part, in B3, the update that ends a workflow is 41%: `status` stands in the predicates of the indexes by " +
  'which queues, their slots and the workflows of a dead process are found, so the update cannot be heap-only, and goes into the primary key ' +
  'and the index by age again; with every such index dropped, which nothing could do without, the server took 63 in place of 67 µs, and the ratio did not ' +
  "move beyond noise. In B4 the step's row is 32%, and the lock of the workflow's row with the look at its fence 27%: it keeps a process that is taken " +
  'for dead from writing beside its successor. Of the process, the garbage collector is 20% in B3 and 10% in B4, and of the rest no function has more than 3%. ' +
  'What helped: array literals by `JSON.stringify`, both flushes sharing what came in one turn (a fifth), fences left out where the ' +
  'steps say the same. What did not: a third flush under way (12,900 workflows/s against 16,300), one alone (a fifth less).';
