// The load of the curves about rows in the tables, on full tables and on empty ones in turn: both schemas are in one
// database and have their turns a few seconds apart, because the machine drifts more than they differ.
import type { Figures, Turn } from '../contract.ts';
import { median } from '../measure.ts';
import type { WorkflowApp } from '../peers/workflow-app.ts';
import { checkRows, measureCounting } from '../scenarios/counting.ts';
import { since } from './warm-point.ts';

const pairs = 3;
const load = { steps: 1, concurrency: 100, count: 'workflows' } as const;

/** 1-step workflows, 100 at a time. Checks the values, and the rows that come to those which `full` has already. */
export async function besideEmpty(full: WorkflowApp, empty: WorkflowApp, turn: Turn): Promise<Figures> {
  const before = await full.durable();
  const rates = { full: [] as number[], empty: [] as number[] };
  const times: number[] = [];
  let ran = 0;
  for (let pair = 0; pair < pairs; pair++) {
    const rate = { full: Number.NaN, empty: Number.NaN };
    // Each begins as often as the other.
    for (const which of pair % 2 === 0 ? (['empty', 'full'] as const) : (['full', 'empty'] as const)) {
      const measured = await measureCounting(which === 'full' ? full : empty, turn, load);
      rate[which] = measured['perSecond'] ?? Number.NaN;
      rates[which].push(rate[which]);
      if (which === 'full') ran += measured['totalRuns'] ?? 0;
    }
    times.push(rate.full / rate.empty);
  }
  checkRows(since(before, await full.durable()), ran, load.steps);
  return { perSecond: median(rates.full), perSecondEmpty: median(rates.empty), timesEmpty: median(times) };
}
