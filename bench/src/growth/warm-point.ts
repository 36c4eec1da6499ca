// The counting workflow at one point of a curve, in a process whose code is compiled. Points whose units take longer would
// otherwise begin colder or warmer than their neighbours, and the curve would show the compiler.
import type { Figures, Turn } from '../contract.ts';
import type { WorkflowApp } from '../peers/workflow-app.ts';
import { checkRows, measureCounting } from '../scenarios/counting.ts';

const rounds = 20;
const atOnce = 100;
const warmSteps = 10;

export async function warmPoint(turn: Turn, load: { steps: number; concurrency: number }): Promise<Figures> {
  const { launchPawl } = await import('../peers/pawl.ts');
  const app = await launchPawl(turn.databaseUrl);
  try {
    await warm(() => app.count(0, warmSteps));
    const before = await app.durable();
    const figures = await measureCounting(app, turn, { ...load, count: 'workflows' });
    checkRows(since(before, await app.durable()), figures['totalRuns'] ?? 0, load.steps);
    return figures;
  } finally {
    await app.close();
  }
}

/** The same amount of work for every point, which a warm-up of so many seconds is not. */
export async function warm(run: () => Promise<unknown>): Promise<void> {
  for (let round = 0; round < rounds; round++) await Promise.all(Array.from({ length: atOnce }, run));
}

type Rows = Awaited<ReturnType<WorkflowApp['durable']>>;

/** What came between two looks. */
export function since(before: Rows, after: Rows): Rows {
  return { workflows: after.workflows - before.workflows, steps: after.steps - before.steps };
}
