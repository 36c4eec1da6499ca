// B2: a long workflow alone. The floor is one commit of one step row after another.
import type { Scenario } from '../contract.ts';
import { measure } from '../measure.ts';
import { openBare } from '../peers/bare.ts';
import { countingTurn, withBare } from './counting.ts';

export const b2: Scenario = {
  id: 'B2',
  title: '100-step workflow, one at a time',
  unit: 'steps/s',
  bareUnit: 'commits/s',
  contenders: ['pawl', 'dbos', 'restate', 'bare'],
  targets: [
    { against: 'bare', figure: 'perSecond', bound: { atLeast: 0.8 } },
    { against: 'dbos', figure: 'perSecond', bound: { atLeast: 3.5 } },
  ],
  held:
    'A lone step is one commit, as with the bare database, and 0.70 to 0.94 of its rate from round to round, 0.70 to 0.84 in the median of a run. The rest is the function ' +
    "that locks the workflow's row and looks at its fence before it inserts (50 µs of the server), and the promises of the body (30 µs). What helped: " +
    'functions of their own for a lone start, step and end, without arrays; prepared statements. What did not: one statement that locks in a CTE, ' +
    'with and without a function around it (171 and 174 µs in place of 169, without the wait for the disk; a function that does nothing takes 126, the bare INSERT 132).',
  async turn(contender, turn) {
    if (contender !== 'bare')
      return countingTurn(contender, turn, { steps: 100, concurrency: 1, count: 'steps' });
    return withBare(await openBare(turn.databaseUrl, 1), async (bare) => {
      const figures = await measure({ ...turn, concurrency: 1 }, () => bare.oneCommit());
      const { steps } = await bare.durable();
      if (steps !== figures['totalRuns'])
        throw new Error(`${figures['totalRuns']} commits left ${steps} rows.`);
      return figures;
    });
  },
};
