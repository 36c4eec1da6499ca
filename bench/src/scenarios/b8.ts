// B8: a million workflows asleep for a day. What they cost a process is a bound of its own, against nobody.
import { sleepers } from '@pawl/test-support/scale';
import type { Scenario } from '../contract.ts';

export const b8: Scenario = {
  id: 'B8',
  title: '1,000,000 sleepers, 10,000 due at once',
  unit: 'resumed/s',
  contenders: ['pawl'],
  minutes: 10,
  rounds: 1,
  targets: [
    { against: null, figure: 'heapGrowthMB', bound: { atMost: 20 } },
    { against: null, figure: 'statementsPerSecond', bound: { atMost: 2.5 } },
    { against: null, figure: 'resumedSeconds', bound: { atMost: 5 } },
    { against: null, figure: 'messageP50Ms', bound: { atMost: 50 } },
  ],
  turn: async (_contender, { databaseUrl }) => {
    const due = 10_000;
    const figures = await sleepers({
      databaseURL: databaseUrl,
      real: 20_000,
      copied: 1_000_000,
      due,
      idleSeconds: 10,
      messages: 50,
    });
    return { perSecond: due / figures.resumedSeconds, ...figures };
  },
};
