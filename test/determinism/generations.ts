// Runs a batch of programs over several lives of a process: each dies at some call to the database, the next one
// recovers what it left. Ends with sentences about what went wrong, as far as it can be seen.

import { AwaitedWorkflowCancelledError, DatabaseUnavailableError, Pawl } from '@pawl/core';
import { internals } from '../../packages/core/src/app/internals.ts';
import { inspect } from './inspect.ts';
import { type ProgramWorkflow, registerPrograms } from './interpret.ts';
import { type Ending, type Group, leavesOf, randomProgram, valueOf } from './program.ts';
import { createRandom, type Random } from './random.ts';
import { createRecorder, type Mortal, type Recorder } from './recorder.ts';
import type { CutDatabase, Fate, Moment } from './worlds.ts';

export interface World {
  /** A new client, that dies as its fate wants. */
  connect(fate: Fate): CutDatabase;
  sql<Row>(text: string, params?: unknown[]): Promise<Row[]>;
  readonly schema: string;
  /** (workflow text, label text) */
  readonly table: string;
  /** Lives at the same time. */
  readonly peers: number;
  /** Connections break, too, in lives that go on; and nobody notices at once that a process is dead. */
  readonly remote: boolean;
}

export interface BatchOptions {
  seed: number;
  /** Default: so many random ones. */
  programs?: readonly Group[];
  count?: number;
  /** How many lives end by death before one may finish. Default: some. */
  deaths?: number;
  /** The first life dies when its workflows know so many results. */
  diesAtResult?: number;
  /** Some workflows are cancelled and resumed, and some lives end in order. */
  disturbed?: boolean;
}

export interface NamedProgram {
  id: string;
  program: Group;
}

export interface Batch {
  world: World;
  random: Random;
  workflows: readonly NamedProgram[];
  recorder: Recorder;
  unsent: Set<Unsent>;
  endings: Map<string, Ending>;
  /** Some workflows are, and then resumed. */
  cancelled: boolean;
}

export interface Unsent {
  id: string;
  label: string;
}

export const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const LONGEST_LIFE = 120;
const BATCH_MS = 45_000;

/** Resolves with sentences about what went wrong; none: all is well. */
export async function runBatch(world: World, options: BatchOptions): Promise<string[]> {
  const random = createRandom(options.seed);
  const programs =
    options.programs ?? Array.from({ length: options.count ?? 20 }, () => randomProgram(random));
  const workflows = programs.map((program, i) => ({ id: `s${options.seed}p${i}`, program }));
  const recorder = createRecorder();
  const batch: Batch = {
    ...{ world, random, workflows, recorder },
    unsent: messagesFor(workflows),
    endings: new Map(),
    cancelled: options.disturbed ?? false,
  };
  const parkAfterSeconds = random.pick([0.005, 5]);
  const alive = new Set<CutDatabase>();
  let mortals = options.deaths ?? random.whole(1, 4);
  let killed = options.diesAtResult === undefined;
  recorder.patience = options.diesAtResult ?? 0;
  recorder.onResult = (known) => {
    if (known !== options.diesAtResult) return;
    killed = true;
    for (const connection of alive) connection.kill();
  };
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    for (const connection of alive) connection.kill();
  }, BATCH_MS);
  // Who cancels and resumes is who runs them: a peer would go on with the old body until it hears of it.
  await Promise.all(
    Array.from({ length: options.disturbed ? 1 : world.peers }, async () => {
      while (!late) {
        const moment = (): Moment => ({
          at: random.whole(6, LONGEST_LIFE),
          when: random.pick(['before', 'after'] as const),
        });
        const mortal = mortals-- > 0;
        const stopsAfterMs =
          mortal && options.disturbed && random.chance(30) ? random.whole(1, 300) : undefined;
        const connection = world.connect({
          death: mortal && stopsAfterMs === undefined ? moment() : undefined,
          faults: Array.from({ length: world.remote ? random.whole(0, 4) : 0 }, moment),
        });
        alive.add(connection);
        const finished = await live(batch, connection, { parkAfterSeconds, stopsAfterMs });
        alive.delete(connection);
        if (finished) return;
      }
    }),
  );
  clearTimeout(deadline);
  if (!killed) recorder.violations.push('there were never so many results');
  return [...recorder.violations, ...(await inspect(batch))];
}

export function messagesFor(workflows: readonly NamedProgram[]): Set<Unsent> {
  return new Set(
    workflows.flatMap(({ id, program }) =>
      leavesOf(program)
        .filter(({ kind }) => kind === 'message')
        .map(({ label }) => ({ id, label })),
    ),
  );
}

interface Life {
  parkAfterSeconds: number;
  /** It ends in order, and hands over what it has. */
  stopsAfterMs: number | undefined;
}

/** One life. True if it saw all workflows end. */
async function live(
  batch: Batch,
  connection: CutDatabase,
  { parkAfterSeconds, stopsAfterMs }: Life,
): Promise<boolean> {
  const { world, recorder } = batch;
  recorder.recorded(await completedSteps(world));
  const { database } = connection;
  const pawl = new Pawl({ database, schema: world.schema, parkAfterSeconds, logger: quiet });
  const program = registerPrograms({ pawl, life: connection, witness: recorder, table: world.table });
  let executor: number | undefined;
  const work = async (): Promise<boolean> => {
    // A connection that breaks now is an error of launch(), and one tries again.
    while (pawl.state === 'idle') await pawl.launch().catch(() => {});
    executor = internals(pawl).runtime.engine.executor;
    await runToTheEnd(batch, connection, pawl, program);
    return true;
  };
  const working = work();
  working.catch(() => {});
  const ends = [working, connection.death.then(() => false)];
  let stops: NodeJS.Timeout | undefined;
  if (stopsAfterMs !== undefined)
    ends.push(new Promise((resolve) => (stops = setTimeout(() => resolve(false), stopsAfterMs))));
  const finished = await Promise.race(ends).catch(() => false);
  clearTimeout(stops);
  if (finished) await Promise.race([pawl.shutdown(), connection.death]);
  else if (!connection.dead) await stop(pawl, connection);
  if (!finished && world.remote && executor !== undefined)
    await world.sql(`UPDATE ${world.schema}.executor SET gone_at = now() WHERE number = $1`, [executor]);
  return finished;
}

/** In order, with little patience for steps; a launch that is under way is let through first. */
async function stop(pawl: Pawl, connection: CutDatabase): Promise<void> {
  while (pawl.state === 'launching') await new Promise(setImmediate);
  await Promise.race([pawl.shutdown({ graceSeconds: 0.01 }), connection.death]);
  connection.kill();
}

/** Starts everything, or finds it started, sends what is to be sent, and waits for all results. */
export async function runToTheEnd(
  batch: Pick<Batch, 'workflows' | 'endings' | 'unsent' | 'random' | 'cancelled'>,
  life: Mortal,
  pawl: Pawl,
  program: ProgramWorkflow,
): Promise<void> {
  const { workflows, endings, unsent, random, cancelled } = batch;
  const results = workflows.map(async ({ id, program: root }) => {
    const handle = await insist(life, () => pawl.startWorkflow(program, { workflowID: id })(root));
    for (;;) {
      try {
        endings.set(id, await handle.getResult());
        return;
      } catch (error) {
        if (life.dead || !(error instanceof AwaitedWorkflowCancelledError)) throw error;
        await pawl.resumeWorkflow(id).catch(() => {});
      }
    }
  });
  for (const { id } of workflows.filter(() => cancelled && random.chance(30))) void cancelSoon(id);
  async function cancelSoon(id: string): Promise<void> {
    for (let turns = random.whole(0, 60); turns > 0; turns--) await new Promise(setImmediate);
    // Of one that is not there yet, or while nobody answers, it comes to nothing.
    await pawl.cancelWorkflow(id).catch(() => {});
  }
  // Messages from outside, at random moments, each again with the same key until it was acknowledged.
  const messages = [...unsent].map(async (message) => {
    for (let turns = random.whole(0, 40); turns > 0; turns--) await new Promise(setImmediate);
    const { id, label } = message;
    const options = { idempotencyKey: label, onMissing: 'park' } as const;
    await insist(life, () => pawl.send(id, valueOf(label), label, options));
    unsent.delete(message);
  });
  await Promise.all([...results, ...messages]);
}

/** A request that met no database is repeated with the same id. */
async function insist<T>(life: Mortal, request: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (life.dead || !(error instanceof DatabaseUnavailableError)) throw error;
    }
  }
}

/** What the journals say has completed, as `{workflow}#{step}`. */
export async function completedSteps({ sql, schema }: Pick<World, 'sql' | 'schema'>): Promise<string[]> {
  const [there] = await sql<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    `${schema}.step`,
  ]);
  if (!there?.there) return [];
  const rows = await sql<{ key: string }>(
    `SELECT workflow_id || '#' || step_id AS key FROM ${schema}.step WHERE completed_at IS NOT NULL`,
  );
  return rows.map(({ key }) => key);
}
