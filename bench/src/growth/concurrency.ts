// How many workflows are under way at once in one process.
import type { Curve } from './curve.ts';
import { warmPoint } from './warm-point.ts';

export const concurrency: Curve = {
  id: 'concurrency',
  title: 'Workflows at once',
  quantity: 'workflows at once',
  points: [1, 10, 100, 500, 1_000, 2_000],
  minutes: 3,
  columns: [
    { figure: 'perSecond', label: 'workflows/s' },
    { figure: 'p50Ms', label: 'p50, ms' },
    { figure: 'p99Ms', label: 'p99, ms' },
    { figure: 'clientCpuMicrosPerUnit', label: 'client CPU, µs per workflow' },
    { figure: 'serverCpuMicrosPerUnit', label: 'server CPU, µs per workflow' },
  ],
  panels: [
    {
      title: 'Workflows per second',
      figures: [{ figure: 'perSecond', label: 'workflows/s' }],
      x: 'log',
      y: 'linear',
    },
    {
      title: 'From start to result, ms',
      figures: [
        { figure: 'p50Ms', label: 'p50' },
        { figure: 'p99Ms', label: 'p99' },
      ],
      x: 'log',
      y: 'log',
    },
  ],
  about:
    'Workflows of one step in one process, so many under way at any time. What they write goes out in shared commits, so the ' +
    'rate rises with the company until the CPU is used up; from there on more at once only wait longer, in proportion. Past 500 ' +
    'the rate falls by a tenth: what is under way outlives the young generation of the heap and is moved, so that the garbage ' +
    'collector takes 8% of the process at 10 at once, 17% at 100, 27% at 500, 39% at 1,000 and 49% at 2,000 (CPU profiles). The ' +
    'server pays less for each workflow the more there are.',
  turn: (x, turn) => warmPoint(turn, { steps: 1, concurrency: x }),
};
