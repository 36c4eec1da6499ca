// How many processes drain one queue.
import { drain } from '../scenarios/draining.ts';
import type { Curve } from './curve.ts';

/** Enough that the first seconds of a process, in which its code is compiled, are a small part also for one of four. */
const count = 60_000;

export const processes: Curve = {
  id: 'processes',
  title: 'Processes',
  quantity: 'processes',
  points: [1, 2, 4],
  minutes: 3,
  columns: [
    { figure: 'perSecond', label: 'workflows/s' },
    { figure: 'leastShare', label: 'least share of a process' },
    { figure: 'clientCpuMicrosPerUnit', label: 'client CPU, µs per workflow' },
    { figure: 'serverCpuMicrosPerUnit', label: 'server CPU, µs per workflow' },
  ],
  panels: [
    {
      title: 'Workflows per second, all processes together',
      figures: [{ figure: 'perSecond', label: 'workflows/s' }],
      x: 'linear',
      y: 'linear',
    },
    {
      title: 'CPU of one workflow, µs',
      figures: [
        { figure: 'clientCpuMicrosPerUnit', label: 'client' },
        { figure: 'serverCpuMicrosPerUnit', label: 'server' },
      ],
      x: 'linear',
      y: 'linear',
    },
  ],
  about:
    `${count.toLocaleString('en-US')} queued workflows of one step, drained by so many processes. ` +
    'The server and all processes share the cores of one ' +
    'machine, so more processes than cores cannot be faster; what the curve shows is that they do not get into each ' +
    "other's way. A workflow costs the server a sixth more with four, whose flushes are smaller.",
  turn: (x, turn) => drain('pawl', turn, { processes: x, count }),
};
