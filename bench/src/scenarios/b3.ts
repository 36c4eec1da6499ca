// B3: many small workflows at once. The floor writes the same three rows per workflow in groups.
import type { Scenario } from '../contract.ts';
import { countingTurn, groupCommitTurn, groupHeld } from './counting.ts';

const load = { steps: 1, concurrency: 100, count: 'workflows' } as const;

export const b3: Scenario = {
  id: 'B3',
  title: '1-step workflow, 100 at a time',
  unit: 'workflows/s',
  contenders: ['pawl', 'dbos', 'restate', 'openworkflow', 'bare'],
  targets: [
    { against: 'bare', figure: 'perSecond', bound: { atLeast: 0.5 } },
    { against: 'dbos', figure: 'perSecond', bound: { atLeast: 20 } },
  ],
  held: groupHeld,
  turn: (contender, turn) =>
    contender === 'bare' ? groupCommitTurn(turn, load) : countingTurn(contender, turn, load),
};
