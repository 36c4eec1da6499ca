// What the app knows of its telemetry. Names no type of @opentelemetry/api, which may not be installed: the declarations
// of the package lead here.

/** What waits in the database for a process, of all processes together. */
interface Waiting {
  /** Waits in this queue, delayed ones not counted; null: due, and in none. */
  readonly queue: string | null;
  /** Out of memory, until a message, an event or their time comes. */
  readonly parked: number;
  /** To be run, and nobody runs it yet. */
  readonly due: number;
  /** How long the first of those has waited. */
  readonly oldestSeconds: number;
}

export interface MetricSources {
  /** Workflows that this process runs now. */
  active(): number;
  /** Asked when metrics are collected; undefined before there is a database. */
  waiting(): Promise<readonly Waiting[] | undefined>;
}

export interface Telemetry {
  /** Of the span that is active where it is asked for. */
  traceIDs(): { trace_id: string; span_id: string } | undefined;
  /**
   * Runs it without spans of instrumentations: two ticks a second and the shared flushes of a journal belong to nobody's
   * trace.
   */
  quietly<T>(fn: () => T): T;
  stop(): void;
}
