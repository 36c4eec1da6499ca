// B1: latency of the smallest workflow. The floor is three commits of one row, in sequence: start, step, finish.
import type { Scenario } from '../contract.ts';
import { measure } from '../measure.ts';
import { openBare } from '../peers/bare.ts';
import { checkRows, countingTurn, withBare } from './counting.ts';

export const b1: Scenario = {
  id: 'B1',
  title: '1-step workflow, one at a time',
  unit: 'workflows/s',
  bareUnit: 'triples/s',
  contenders: ['pawl', 'dbos', 'restate', 'openworkflow', 'bare'],
  targets: [
    { against: 'bare', figure: 'p50Ms', bound: { atMost: 1.3 } },
    { against: 'dbos', figure: 'perSecond', bound: { atLeast: 3 } },
  ],
  async turn(contender, turn) {
    if (contender !== 'bare')
      return countingTurn(contender, turn, { steps: 1, concurrency: 1, count: 'workflows' });
    return withBare(await openBare(turn.databaseUrl, 1), async (bare) => {
      const figures = await measure({ ...turn, concurrency: 1 }, () => bare.threeCommits());
      checkRows(await bare.durable(), figures['totalRuns'] ?? 0, 1);
      return figures;
    });
  },
};
