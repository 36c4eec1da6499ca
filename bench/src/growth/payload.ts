// Size of a step's result, one workflow at a time.
import { randomBytes } from 'node:crypto';
import { measure } from '../measure.ts';
import type { Curve } from './curve.ts';
import { warm } from './warm-point.ts';

/** So many different texts, one after another: the same one again would be kinder to caches than real ones are. */
const variants = 1_000;

export const payload: Curve = {
  id: 'payload',
  title: "Size of a step's result",
  quantity: "bytes of the step's result",
  points: [100, 1_000, 10_000, 100_000, 1_000_000],
  minutes: 3,
  columns: [
    { figure: 'msPerWorkflow', label: 'ms per workflow' },
    { figure: 'megabytesPerSecond', label: 'MB/s' },
    { figure: 'clientCpuMicrosPerUnit', label: 'client CPU, µs' },
    { figure: 'serverCpuMicrosPerUnit', label: 'server CPU, µs' },
  ],
  panels: [
    {
      title: 'One workflow, ms',
      figures: [{ figure: 'msPerWorkflow', label: 'ms per workflow' }],
      x: 'log',
      y: 'log',
    },
    {
      title: 'MB per second',
      figures: [{ figure: 'megabytesPerSecond', label: 'MB/s' }],
      x: 'log',
      y: 'log',
    },
  ],
  about:
    'A workflow of one step whose result is a text of that size (random, so that compression does not make it small), one ' +
    'workflow at a time. Up to some kilobytes three commits are all of the cost. Above that the bytes count: they are encoded, ' +
    'sent, cut into pieces for TOAST and written to the log and to the table, each in proportion to their number.',
  async turn(x, turn) {
    const { launchPayload } = await import('../peers/payload-pawl.ts');
    const app = await launchPayload(turn.databaseUrl);
    try {
      await warm(() => app.carry(''));
      const pool = randomBytes(x + variants).toString('base64');
      const figures = await measure({ ...turn, concurrency: 1 }, async (n) => {
        const start = n % variants;
        const length = await app.carry(pool.slice(start, start + x));
        if (length !== x) throw new Error(`A step returned ${x} characters, the workflow saw ${length}.`);
      });
      const { steps, shortest, longest } = await app.durable();
      // The quotes of JSON.
      const written = x + 2;
      if (steps !== figures['totalRuns'] || shortest !== written || longest !== written) {
        throw new Error(
          `${figures['totalRuns']} results of ${written} were written; there are ${steps} of ${shortest} to ${longest}.`,
        );
      }
      const perSecond = figures['perSecond'] ?? Number.NaN;
      return { ...figures, msPerWorkflow: 1000 / perSecond, megabytesPerSecond: (perSecond * x) / 1e6 };
    } finally {
      await app.close();
    }
  },
};
