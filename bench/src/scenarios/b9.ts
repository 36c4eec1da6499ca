// B9: whether finished workflows make new ones slower. The full and the empty schema are in one database, and have their
// turns in one process a few seconds apart: the machine drifts more than they differ.
import { copyWorkflow } from '@pawl/test-support';
import type { Scenario } from '../contract.ts';
import { withClient } from '../database.ts';
import { median } from '../measure.ts';
import { checkRows, measureCounting } from './counting.ts';

const finished = 5_000_000;
const pairs = 5;
const load = { steps: 1, concurrency: 100, count: 'workflows' } as const;

export const b9: Scenario = {
  id: 'B9',
  title: `1-step workflow, 100 at a time, ${finished.toLocaleString('en-US')} finished ones in the tables`,
  unit: 'workflows/s',
  contenders: ['pawl'],
  minutes: 30,
  rounds: 1,
  targets: [{ against: null, figure: 'timesEmpty', bound: { atLeast: 0.9 } }],
  async turn(_contender, turn) {
    const { launchPawl } = await import('../peers/pawl.ts');
    const full = await launchPawl(turn.databaseUrl);
    const empty = await launchPawl(turn.databaseUrl, { schema: 'empty' });
    try {
      await full.count(0, load.steps);
      await withClient(turn.databaseUrl, async (client) => {
        const { rows } = await client.query<{ id: string }>('select id from pawl.workflow');
        // Ids all over the index, as those that the engine draws.
        const idOf = 'md5(n::text)::uuid::text';
        await copyWorkflow((text) => client.query(text), { from: rows[0]?.id ?? '', idOf, count: finished });
        await client.query('vacuum (analyze) pawl.workflow, pawl.step');
        await client.query('checkpoint');
      });
      const before = (await full.durable()).workflows;
      const times: number[] = [];
      const rates = { full: [] as number[], empty: [] as number[] };
      let ran = 0;
      for (let pair = 0; pair < pairs; pair++) {
        const figures = { full: 0, empty: 0 };
        // Each begins as often as the other.
        for (const which of pair % 2 === 0 ? (['empty', 'full'] as const) : (['full', 'empty'] as const)) {
          const measured = await measureCounting(which === 'full' ? full : empty, turn, load);
          figures[which] = measured['perSecond'] ?? Number.NaN;
          rates[which].push(figures[which]);
          if (which === 'full') ran += measured['totalRuns'] ?? 0;
        }
        times.push(figures.full / figures.empty);
      }
      checkRows(await full.durable(), before + ran, load.steps);
      return {
        perSecond: median(rates.full),
        perSecondEmpty: median(rates.empty),
        timesEmpty: median(times),
        leastTimesEmpty: Math.min(...times),
      };
    } finally {
      await Promise.all([full.close(), empty.close()]);
    }
  },
};
