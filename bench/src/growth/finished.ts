// Finished workflows in the tables.
import { copyWorkflow } from '@pawl/test-support';
import { withClient } from '../database.ts';
import type { Turn } from '../contract.ts';
import { besideEmpty } from './beside-empty.ts';
import type { Curve } from './curve.ts';

export const finished: Curve = {
  id: 'finished',
  title: 'Finished workflows in the tables',
  quantity: 'finished workflows',
  points: [0, 10_000, 100_000, 1_000_000, 5_000_000],
  rounds: 1,
  minutes: 20,
  columns: [
    { figure: 'perSecond', label: 'workflows/s' },
    { figure: 'perSecondEmpty', label: 'workflows/s, empty tables beside' },
    { figure: 'timesEmpty', label: 'ratio' },
  ],
  panels: [
    {
      title: 'Workflows per second',
      figures: [
        { figure: 'perSecond', label: 'these tables' },
        { figure: 'perSecondEmpty', label: 'empty tables beside' },
      ],
      x: 'log',
      y: 'linear',
    },
    {
      title: 'Ratio to empty tables',
      figures: [{ figure: 'timesEmpty', label: 'ratio' }],
      x: 'log',
      y: 'linear',
    },
  ],
  about:
    'Workflows of one step, 100 at a time, next to so many finished ones; each with its step, and with ids all over the index. ' +
    'At each point a second, empty schema in the same database has its turns in between, because a machine drifts more ' +
    'than the two differ: the ratio is the figure to read, the median of three pairs. What is measured adds some ten thousand workflows to both.',
  async turn(x, turn) {
    const { launchPawl } = await import('../peers/pawl.ts');
    const full = await launchPawl(turn.databaseUrl);
    const empty = await launchPawl(turn.databaseUrl, { schema: 'empty' });
    try {
      if (x > 0) await seed(turn, x, () => full.count(0, 1));
      return await besideEmpty(full, empty, turn);
    } finally {
      await Promise.all([full.close(), empty.close()]);
    }
  },
};

/** One that the engine ran, and copies of it. */
async function seed({ databaseUrl }: Turn, count: number, run: () => Promise<unknown>): Promise<void> {
  await run();
  await withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ id: string }>('select id from pawl.workflow');
    await copyWorkflow((text) => client.query(text), {
      from: rows[0]?.id ?? '',
      idOf: risingId(count),
      count: count - 1,
    });
    await client.query('vacuum (analyze) pawl.workflow, pawl.step');
    await client.query('checkpoint');
  });
}

/**
 * SQL for ids as random as those of the engine, evenly over the whole index, but inserted in their order: in the order of
 * chance five millions take minutes longer.
 */
function risingId(count: number): string {
  return `lpad(to_hex((n::bigint << 32) / ${count}), 8, '0') || substr(md5(n::text)::uuid::text, 9)`;
}
