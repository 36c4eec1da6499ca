// A migrated schema without a Pawl on it: what the store's functions do, seen from the lane that the journal uses.
import type { Driver } from '@pawl/test-support/drivers';
import { createDatabase } from '../../packages/core/src/app/config.ts';
import type { Database, Lane } from '../../packages/core/src/store/database.ts';
import { flush, type FlushOptions } from '../../packages/core/src/store/flush.ts';
import { migrate } from '../../packages/core/src/store/migrate.ts';
import type {
  Answer,
  FlushResult,
  Operation,
  StartPart,
  StepPart,
} from '../../packages/core/src/store/operations.ts';

/** The executor in whose name the tests write. */
export const ME = 7;

export interface Store {
  readonly database: Database;
  readonly lane: Lane;
  /** One flush; `undefined` for what was just written. */
  write(operations: readonly Operation[], options?: FlushOptions): Promise<FlushResult>;
  rows<Row = Record<string, unknown>>(text: string, params?: unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

export async function openStore(driver: Driver): Promise<Store> {
  const database = createDatabase({
    database: driver.database,
    schema: driver.freshSchema(),
    poolSize: 3,
    name: 'store',
  });
  await database.open();
  await migrate(database);
  const lane = database.lane('journal');
  return {
    database,
    lane,
    write: (operations, options) => flush(lane, ME, operations, options),
    rows: async (text, params) => (await database.query<never>(text, params)).rows,
    close: async () => {
      await lane.close();
      await database.close();
    },
  };
}

/** The ways in which one operation can reach the database; what it does must not depend on them. */
export const ways: [string, (store: Store, operation: Operation) => Promise<Answer | undefined>][] = [
  ['alone', async (store, operation) => (await store.write([operation])).answers[0]],
  [
    'in company',
    async (store, operation) => {
      const before = start(`company-${Math.random()}`);
      const after = start(`company-${Math.random()}`);
      return (await store.write([before, operation, after])).answers[1];
    },
  ],
  ['carefully', async (store, operation) => (await store.write([operation], { careful: true })).answers[0]],
];

export function start(workflowID: string, part: Partial<StartPart> = {}): Operation {
  return {
    start: {
      workflowID,
      nonce: `nonce of ${workflowID}`,
      fence: 1,
      name: 'name',
      version: 'v1',
      input: '[]',
      chosen: false,
      extra: null,
      ...part,
    },
  };
}

export function fenced(
  workflowID: string,
  stepID: number | null,
  seq: number | null,
  fence = 1,
  keep = false,
) {
  return { fenced: { workflowID, fence, stepID, seq, keep } };
}

export function step(
  workflowID: string,
  stepID: number,
  part: Partial<StepPart> & { seq?: number | null; fence?: number; keep?: boolean } = {},
): Operation {
  const { seq = stepID + 1, fence = 1, keep = false, ...rest } = part;
  return {
    ...fenced(workflowID, stepID, seq, fence, keep),
    step: {
      kind: 'step',
      name: 'step',
      target: null,
      output: null,
      error: null,
      childID: null,
      outcome: null,
      attempts: 1,
      begun: false,
      durationMs: 1,
      ...rest,
    },
  };
}

export function end(workflowID: string, fence = 1, output: string | null = null): Operation {
  return { ...fenced(workflowID, null, null, fence), end: { status: 'SUCCESS', output, error: null } };
}
