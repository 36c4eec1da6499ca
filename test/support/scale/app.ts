// The process that the scale programs watch: workflows that wait, and what it can say of itself. Started by apps.ts.
import { Pawl, type PawlConfig } from '@pawl/core';
import pg from 'pg';

const { DATABASE = '', CONFIG = '{}', HANGS = '' } = process.env;

let statements = 0;
// Every statement of every connection goes through here; COMMIT and the like included.
const query = pg.Client.prototype.query;
pg.Client.prototype.query = function counted(this: pg.Client, ...args: unknown[]): never {
  statements++;
  return Reflect.apply(query, this, args) as never;
};

const quiet = () => {};
const pawl = new Pawl({
  name: 'scale',
  database: DATABASE,
  logger: { debug: quiet, info: quiet, warn: console.warn, error: console.error },
  ...(JSON.parse(CONFIG) as PawlConfig),
});

let went = { count: 0, first: 0, last: 0 };
/** A workflow went on behind its wait, at this moment. */
const goesOn = (): void => {
  const now = Date.now();
  went = { count: went.count + 1, first: went.first || now, last: now };
};
const step = () => pawl.runStep(() => 1, { name: 'before' });

pawl.registerWorkflow(
  async () => {
    await step();
    await pawl.sleep('1d');
    goesOn();
  },
  { name: 'sleeper' },
);
pawl.registerWorkflow(
  async () => {
    await step();
    const sentAt = (await pawl.recv<number>('go', 86_400)) ?? 0;
    goesOn();
    return Date.now() - sentAt;
  },
  { name: 'receiver' },
);
pawl.registerWorkflow(
  async () => {
    await step();
    await pawl.runStep(() => (HANGS ? new Promise(() => {}) : goesOn()), { name: 'hangs' });
  },
  { name: 'hanging' },
);
pawl.registerWorkflow(async (n: number) => pawl.runStep(() => n + 1, { name: 'add' }), { name: 'adding' });

async function inLanes(count: number, lanes: number, run: (n: number) => Promise<void>): Promise<void> {
  let next = 1;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (next <= count) await run(next++);
    }),
  );
}

const methods = {
  launch: async () => {
    await pawl.launch();
  },
  shutdown: () => pawl.shutdown(),
  /** Starts so many, as `{prefix}-1` and so on; does not wait for their ends. */
  start: (name: string, prefix: string, count: number) =>
    inLanes(count, 200, async (n) => {
      await pawl.startWorkflow(name, { workflowID: `${prefix}-${n}` })();
    }),
  /** Runs so many to their ends, 200 at a time, and checks each result. */
  run: (count: number) =>
    inLanes(count, 200, async (n) => {
      const handle = await pawl.startWorkflow<number>('adding')(n);
      if ((await handle.getResult()) !== n + 1)
        throw new Error(`The workflow of ${n} returned something else.`);
    }),
  send: (workflowID: string) => pawl.send(workflowID, Date.now(), 'go'),
  result: (workflowID: string) => pawl.retrieveWorkflow<number>(workflowID).getResult(),
  /** Bytes in use after a full collection. */
  heap: async () => {
    const { gc } = globalThis as { gc?: () => void };
    if (gc === undefined) throw new Error('This process must run with --expose-gc.');
    for (let i = 0; i < 3; i++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return process.memoryUsage().heapUsed;
  },
  /** Since the last time that it was asked. */
  statements: () => {
    const count = statements;
    statements = 0;
    return count;
  },
  /** How many workflows went on behind their waits since the last time, and when the first and the last did. */
  went: (reset: boolean) => {
    const result = went;
    if (reset) went = { count: 0, first: 0, last: 0 };
    return result;
  },
};

export type AppMethods = typeof methods;

process.on('message', ({ id, method, args }: { id: number; method: keyof AppMethods; args: never[] }) => {
  Promise.resolve()
    .then(() => (methods[method] as (...args: never[]) => unknown)(...args))
    .then(
      (value) => process.send?.({ id, value }),
      (error: unknown) => process.send?.({ id, error: error instanceof Error ? error.stack : String(error) }),
    );
});
process.on('disconnect', () => process.exit());
