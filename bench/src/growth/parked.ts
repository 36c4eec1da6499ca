// Parked workflows in the tables: what they cost the others, and how fast one of them wakes.
import { setTimeout as delay } from 'node:timers/promises';
import { copyWorkflow } from '@pawl/test-support';
import type { Figures, Turn } from '../contract.ts';
import { withClient } from '../database.ts';
import { percentile } from '../measure.ts';
import type { ParkingApp } from '../peers/parked-pawl.ts';
import { besideEmpty } from './beside-empty.ts';
import type { Curve } from './curve.ts';

const wakes = 100;

export const parked: Curve = {
  id: 'parked',
  title: 'Parked workflows',
  quantity: 'parked workflows',
  points: [0, 10_000, 100_000, 1_000_000],
  rounds: 1,
  minutes: 10,
  columns: [
    { figure: 'perSecond', label: 'workflows/s' },
    { figure: 'timesEmpty', label: 'ratio to empty tables' },
    { figure: 'wakeP50Ms', label: 'wake p50, ms' },
    { figure: 'wakeP99Ms', label: 'wake p99, ms' },
  ],
  panels: [
    {
      title: 'Others: workflows per second',
      figures: [
        { figure: 'perSecond', label: 'these tables' },
        { figure: 'perSecondEmpty', label: 'empty tables beside' },
      ],
      x: 'log',
      y: 'linear',
    },
    {
      title: 'From message to end, ms',
      figures: [
        { figure: 'wakeP50Ms', label: 'p50' },
        { figure: 'wakeP99Ms', label: 'p99' },
      ],
      x: 'log',
      y: 'linear',
    },
  ],
  about:
    'So many workflows wait for a message, for a day at most, and have left memory. Beside them workflows of one step run, 100 ' +
    'at a time; an empty schema in the same database has its turns in between. Then a message goes to one parked workflow after ' +
    'another, and is timed from the call of `send` until the workflow has returned what it was sent. ' +
    `${wakes} real ones are parked in any case; the others are copies of one, made in the database.`,
  async turn(x, turn) {
    const { launchParking } = await import('../peers/parked-pawl.ts');
    const { launchPawl } = await import('../peers/pawl.ts');
    const app = await launchParking(turn.databaseUrl);
    const empty = await launchPawl(turn.databaseUrl, { schema: 'empty' });
    try {
      await park(app, turn, x);
      const figures = await besideEmpty(app, empty, turn);
      return { ...figures, ...(await wake(app, x)) };
    } finally {
      await Promise.all([app.close(), empty.close()]);
    }
  },
};

async function park(app: ParkingApp, { databaseUrl }: Turn, copies: number): Promise<void> {
  await Promise.all(Array.from({ length: wakes }, (_, n) => app.wait(`real-${n + 1}`)));
  await withClient(databaseUrl, async (client) => {
    const count = async (): Promise<number> => {
      const { rows } = await client.query<{ count: number }>(
        `select count(*)::int as count from pawl.workflow where status = 'PENDING' and owner is null`,
      );
      return rows[0]?.count ?? 0;
    };
    const end = performance.now() + 60_000;
    while ((await count()) < wakes) {
      if (performance.now() > end) throw new Error('The workflows that wait are not parked after a minute.');
      await delay(100);
    }
    if (copies > 0) {
      await copyWorkflow((text) => client.query(text), { from: 'real-1', prefix: 'copy', count: copies });
    }
    await client.query('vacuum (analyze) pawl.workflow, pawl.step');
    await client.query('checkpoint');
    const found = await count();
    if (found !== wakes + copies) throw new Error(`${found} of ${wakes + copies} workflows are parked.`);
  });
}

/** Copies from all over the table; the real ones where there are none. */
async function wake(app: ParkingApp, copies: number): Promise<Figures> {
  const times: number[] = [];
  for (let n = 0; n < wakes; n++) {
    const id = copies === 0 ? `real-${n + 1}` : `copy-${1 + Math.floor((n * copies) / wakes)}`;
    const began = performance.now();
    const value = await app.wake(id, n);
    times.push(performance.now() - began);
    if (value !== n) throw new Error(`${id} was sent ${n} and returned ${value}.`);
  }
  const sorted = Float64Array.from(times).sort();
  return { wakeP50Ms: percentile(sorted, 0.5), wakeP99Ms: percentile(sorted, 0.99) };
}
