// What a contender with workflows offers to the scenarios, and the one workflow they all run: it adds up the
// numbers below `steps` to a seed, one durable step each, every step using the result of the one before.

export interface WorkflowApp {
  /** Starts the counting workflow and waits for its result, in the way the contender's own manual does it. */
  count(seed: number, steps: number): Promise<number>;
  /** What the database holds by now, asked over a plain connection and not through the contender. */
  durable(): Promise<{ workflows: number; steps: number }>;
  /** The processes of the contender's own server, if it has one. */
  serverPids?: readonly number[];
  close(): Promise<void>;
}

export function expectedCount(seed: number, steps: number): number {
  return seed + (steps * (steps - 1)) / 2;
}
