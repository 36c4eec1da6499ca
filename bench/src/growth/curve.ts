// What a curve is: one quantity that grows, and what a turn at each of its values measures. Types only.
import type { Figures, Turn } from '../contract.ts';

export interface Curve {
  id: string;
  title: string;
  /** What grows, as the axis and the column say it. */
  quantity: string;
  points: readonly number[];
  /** Overrides how often each point is measured; for curves whose points take minutes to set up. */
  rounds?: number;
  /** How long a point may take that is not measured by `seconds` of load. */
  minutes?: number;
  /** The figures worth a column, in order. */
  columns: readonly Column[];
  panels: readonly Panel[];
  /** What is measured, and why the curve has the form that it has. In sentences, for the page. */
  about: string;
  /** Runs in a process of its own on an empty database; a wrong or missing result throws. */
  turn(x: number, turn: Turn): Promise<Figures>;
}

interface Column {
  figure: string;
  label: string;
}

/** One pair of axes of a curve's plot. */
export interface Panel {
  title: string;
  figures: readonly Column[];
  x: 'linear' | 'log';
  y: 'linear' | 'log';
  /** Draws the line that a cost in proportion to x would follow. */
  proportional?: boolean;
}
