// Steps per workflow, one workflow at a time.
import type { Curve } from './curve.ts';
import { warmPoint } from './warm-point.ts';

export const steps: Curve = {
  id: 'steps',
  title: 'Steps per workflow',
  quantity: 'steps per workflow',
  points: [1, 10, 100, 1_000, 10_000],
  minutes: 5,
  columns: [
    { figure: 'msPerWorkflow', label: 'ms per workflow' },
    { figure: 'microsPerStep', label: 'µs per step' },
    { figure: 'clientCpuMicrosPerStep', label: 'client CPU per step, µs' },
    { figure: 'serverCpuMicrosPerStep', label: 'server CPU per step, µs' },
  ],
  panels: [
    {
      title: 'One workflow, ms',
      figures: [{ figure: 'msPerWorkflow', label: 'ms per workflow' }],
      x: 'log',
      y: 'log',
      proportional: true,
    },
    {
      title: 'One step, µs',
      figures: [
        { figure: 'microsPerStep', label: 'time' },
        { figure: 'clientCpuMicrosPerStep', label: 'client CPU' },
        { figure: 'serverCpuMicrosPerStep', label: 'server CPU' },
      ],
      x: 'log',
      y: 'linear',
    },
  ],
  about:
    'Steps in sequence, one workflow at a time: each step is a commit that is waited for. The start and the end of the ' +
    'workflow are a commit each, so a workflow of one step pays three for it and one of a hundred pays 102; from there on ' +
    'a step costs the same however many came before it.',
  async turn(x, turn) {
    const figures = await warmPoint(turn, { steps: x, concurrency: 1 });
    const per = (figure: string): number => (figures[figure] ?? Number.NaN) / x;
    const msPerWorkflow = 1000 / (figures['perSecond'] ?? Number.NaN);
    return {
      ...figures,
      msPerWorkflow,
      microsPerStep: (msPerWorkflow * 1000) / x,
      clientCpuMicrosPerStep: per('clientCpuMicrosPerUnit'),
      serverCpuMicrosPerStep: per('serverCpuMicrosPerUnit'),
    };
  },
};
