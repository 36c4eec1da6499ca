// B4: many workflows of ten steps at once. The floor writes the same twelve rows per workflow in groups.
import type { Scenario } from '../contract.ts';
import { countingTurn, groupCommitTurn, groupHeld } from './counting.ts';

const load = { steps: 10, concurrency: 100, count: 'steps' } as const;

export const b4: Scenario = {
  id: 'B4',
  title: '10-step workflow, 100 at a time',
  unit: 'steps/s',
  contenders: ['pawl', 'dbos', 'restate', 'openworkflow', 'bare'],
  targets: [
    { against: 'bare', figure: 'perSecond', bound: { atLeast: 0.5 } },
    { against: 'dbos', figure: 'perSecond', bound: { atLeast: 30 } },
  ],
  held: groupHeld,
  turn: (contender, turn) =>
    contender === 'bare' ? groupCommitTurn(turn, load) : countingTurn(contender, turn, load),
};
