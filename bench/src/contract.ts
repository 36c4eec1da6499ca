// The words that the parts of the benchmark share: what a scenario is, what a turn of one contender gets and
// gives back, and what a target says. Types only; it never measures or runs anything.

/** Who takes part: ours, an alternative, or plain SQL without any engine (the floor that the machine sets). */
export type Contender =
  | 'pawl'
  | 'dbos'
  | 'restate'
  | 'openworkflow'
  | 'graphile-worker'
  | 'pg-boss'
  | 'absurd'
  | 'bare';

export const alternatives: readonly Contender[] = [
  'dbos',
  'restate',
  'openworkflow',
  'graphile-worker',
  'pg-boss',
  'absurd',
  'bare',
];

/** What one contender gets for one turn: a database of its own, empty, and how long it may measure. */
export interface Turn {
  databaseUrl: string;
  warmupSeconds: number;
  seconds: number;
}

/** Named numbers of one turn, such as `perSecond` or `p50Ms`. The names mean the same for all contenders. */
export type Figures = Readonly<Record<string, number>>;

/** A claim about one figure: as a ratio ours / theirs, or about our figure alone when `against` is null. */
export interface Target {
  against: Contender | null;
  figure: string;
  bound: { atLeast: number } | { atMost: number };
}

export interface Scenario {
  id: string;
  title: string;
  /** What `perSecond` counts in this scenario, and for the bare database where that differs. */
  unit: string;
  bareUnit?: string;
  contenders: readonly Contender[];
  targets: readonly Target[];
  /** Where a target is missed: what holds it, what was tried, and with what effect. Stands on the page if one is. */
  held?: string;
  /** How long a turn may take that is not measured by `seconds` of load. */
  minutes?: number;
  /** At most so many rounds: for turns that take minutes. */
  rounds?: number;
  /**
   * Runs in a child process of its own and must check what it measures: a wrong or missing result throws, and
   * that fails the whole benchmark run.
   */
  turn(contender: Contender, turn: Turn): Promise<Figures>;
}
