// B10: the owner of 10,000 running workflows is killed, and one peer is up.
import { takeover } from '@pawl/test-support/scale';
import type { Scenario } from '../contract.ts';

export const b10: Scenario = {
  id: 'B10',
  title: '10,000 running workflows, owner killed',
  unit: 'resumed/s',
  contenders: ['pawl'],
  minutes: 3,
  rounds: 1,
  targets: [
    { against: null, figure: 'firstSeconds', bound: { atMost: 1.5 } },
    { against: null, figure: 'lastSeconds', bound: { atMost: 20 } },
  ],
  turn: async (_contender, { databaseUrl }) => {
    const workflows = 10_000;
    const figures = await takeover({ databaseURL: databaseUrl, workflows });
    return { perSecond: workflows / figures.lastSeconds, ...figures };
  },
};
