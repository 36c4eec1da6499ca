// Runs a batch of programs over several lives of a process: each dies at a random call to the database, the next one
// recovers what it left. Then looks at everything that can be seen and says what is wrong with it.

import { DatabaseUnavailableError, Pawl, type PawlConfig } from '@pawl/core';
import { internals } from '../../packages/core/src/app/internals.ts';
import { registerPrograms } from './interpret.ts';
import { type Ending, type Group, isPossible, leavesOf, randomProgram, valueOf } from './program.ts';
import { createRandom, type Random } from './random.ts';
import { createRecorder, type Mortal, type Recorder } from './recorder.ts';
import type { CutDatabase, Fate, Moment } from './worlds.ts';

export interface World {
  /** A new client, that dies as its fate wants. */
  connect(fate: Fate): CutDatabase;
  /** A row of `executor` is told to be gone, where nobody would notice at once. */
  readonly notices: boolean;
  sql<Row>(text: string, params?: unknown[]): Promise<Row[]>;
  readonly schema: string;
  /** (workflow text, label text) */
  readonly table: string;
  /** Lives at the same time. */
  readonly peers: number;
  /** Connections break, too, in lives that go on. */
  readonly faults: boolean;
}

export interface BatchOptions {
  seed: number;
  programs?: readonly Group[];
  count?: number;
  /** How many lives end by death before one may finish. */
  deaths?: number;
  /** Calls to the database before a death, at most. */
  longestLife?: number;
}

interface Named {
  id: string;
  program: Group;
}

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Resolves with sentences about what went wrong; none: all is well. */
export async function runBatch(world: World, options: BatchOptions): Promise<string[]> {
  const random = createRandom(options.seed);
  const programs =
    options.programs ?? Array.from({ length: options.count ?? 20 }, () => randomProgram(random));
  const workflows = programs.map((program, i): Named => ({ id: `s${options.seed}p${i}`, program }));
  const recorder = createRecorder();
  const deaths = options.deaths ?? random.whole(1, 4);
  const batch: Batch = {
    world,
    random,
    workflows,
    recorder,
    unsent: messagesFor(workflows),
    parkAfterSeconds: random.pick([0.005, 5]),
    endings: new Map(),
  };
  let mortals = deaths;
  await Promise.all(
    Array.from({ length: world.peers }, async () => {
      for (;;) {
        const longest = options.longestLife ?? 120;
        const moment = (): Moment => ({
          at: random.whole(6, longest),
          when: random.pick(['before', 'after'] as const),
        });
        const fate: Fate = {
          death: mortals-- > 0 ? moment() : undefined,
          faults: Array.from({ length: world.faults ? random.whole(0, 4) : 0 }, moment),
        };
        if (await live(batch, fate)) return;
      }
    }),
  );
  return [...recorder.violations, ...(await inspect(batch))];
}

interface Batch {
  world: World;
  random: Random;
  workflows: readonly Named[];
  recorder: Recorder;
  unsent: Set<{ id: string; label: string }>;
  parkAfterSeconds: number;
  endings: Map<string, Ending>;
}

function messagesFor(workflows: readonly Named[]): Batch['unsent'] {
  return new Set(
    workflows.flatMap(({ id, program }) =>
      leavesOf(program)
        .filter(({ kind }) => kind === 'message')
        .map(({ label }) => ({ id, label })),
    ),
  );
}

/** One life. True if it saw all workflows end. */
async function live(batch: Batch, fate: Fate): Promise<boolean> {
  const { world, recorder, workflows } = batch;
  recorder.recorded(await completedSteps(world));
  const connection = world.connect(fate);
  const config: PawlConfig = {
    database: connection.database,
    schema: world.schema,
    parkAfterSeconds: batch.parkAfterSeconds,
    logger: quiet,
  };
  const pawl = new Pawl(config);
  const program = registerPrograms({ pawl, life: connection, recorder, table: world.table });
  let executor: number | undefined;
  const work = async (): Promise<boolean> => {
    // A connection that breaks now is an error of launch(), and one tries again.
    while (pawl.state === 'idle') await pawl.launch().catch(() => {});
    executor = internals(pawl).runtime.engine.executor;
    const sent = sendAll(batch, connection, pawl);
    const ended = workflows.map(async ({ id, program: root }) => {
      const handle = await insist(connection, () => pawl.startWorkflow(program, { workflowID: id })(root));
      batch.endings.set(id, await handle.getResult());
    });
    await Promise.all([...ended, sent]);
    return true;
  };
  const working = work();
  working.catch(() => {});
  const finished = await Promise.race([working, connection.death.then(() => false)]);
  if (finished) await Promise.race([pawl.shutdown(), connection.death]);
  else if (world.notices && executor !== undefined)
    await world.sql(`UPDATE ${world.schema}.executor SET gone_at = now() WHERE number = $1`, [executor]);
  return finished;
}

/** Messages from outside, at random moments, each again with the same key until it was acknowledged. */
async function sendAll({ unsent, random }: Batch, life: Mortal, pawl: Pawl): Promise<void> {
  await Promise.all(
    [...unsent].map(async (message) => {
      for (let turns = random.whole(0, 40); turns > 0; turns--) await new Promise(setImmediate);
      const { id, label } = message;
      const options = { idempotencyKey: label, onMissing: 'park' } as const;
      await insist(life, () => pawl.send(id, valueOf(label), label, options));
      unsent.delete(message);
    }),
  );
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

async function completedSteps({ sql, schema }: World): Promise<string[]> {
  const [there] = await sql<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    `${schema}.step`,
  ]);
  if (!there?.there) return [];
  const rows = await sql<{ key: string }>(
    `SELECT workflow_id || '#' || step_id AS key FROM ${schema}.step WHERE completed_at IS NOT NULL`,
  );
  return rows.map(({ key }) => key);
}

interface StepRow {
  step_id: number;
  name: string | null;
  target: string | null;
  kind: string;
  completed: boolean;
}

async function inspect({ world, workflows, recorder, endings }: Batch): Promise<string[]> {
  const wrong: string[] = [];
  const { sql, schema, table } = world;
  for (const { id, program } of workflows) {
    const ending = endings.get(id);
    if (ending === undefined || !isPossible(program, ending))
      wrong.push(`${id} cannot end with ${JSON.stringify(ending)}`);

    const steps = await sql<StepRow>(
      `SELECT step_id, name, target, kind, completed_at IS NOT NULL AS completed FROM ${schema}.step
       WHERE workflow_id = $1 ORDER BY seq NULLS LAST`,
      [id],
    );
    const results = recorder.resultsOf(id);
    const known = new Set(results.map(({ stepID }) => stepID));
    const delivered = steps.filter(({ step_id, completed }) => completed && known.has(step_id));
    const recordedOrder = delivered.map(({ step_id }) => step_id).join(' ');
    const liveOrder = results.map(({ stepID }) => stepID).join(' ');
    if (recordedOrder !== liveOrder)
      wrong.push(`${id} recorded the order ${recordedOrder} but delivered ${liveOrder}`);
    for (const { label, stepID } of results) {
      const row = steps.find(({ step_id }) => step_id === stepID);
      const names = [row?.name, row?.target, row?.kind];
      const isNamed = row?.kind === 'start' || row?.kind === 'getResult' || row?.kind === 'send';
      if (!isNamed && row?.kind !== 'sleep' && row?.kind !== 'randomUUID' && !names.includes(label))
        wrong.push(`${id} has "${names.join('/')}" as step ${stepID}, which was ${label}`);
    }

    const recorded = new Set(steps.filter(({ completed }) => completed).map(({ name }) => name));
    const commits = await sql<{ label: string; times: number }>(
      `SELECT label, count(*)::int AS times FROM ${table} WHERE workflow = $1 GROUP BY label`,
      [id],
    );
    for (const { label, kind } of leavesOf(program)) {
      if (kind !== 'transaction' && kind !== 'failingTransaction') continue;
      const times = commits.find((commit) => commit.label === label)?.times ?? 0;
      const expected = kind === 'transaction' && recorded.has(label) ? 1 : 0;
      if (times !== expected) wrong.push(`${id} committed transaction ${label} ${times} times`);
    }
    const messages = await sql<{ times: number }>(
      `SELECT count(*)::int AS times FROM ${schema}.message WHERE destination = $1 GROUP BY topic HAVING count(*) > 1`,
      [id],
    );
    if (messages.length > 0) wrong.push(`${id} got a message twice`);
  }
  const open = await sql<{ id: string; status: string }>(
    `SELECT id, status FROM ${schema}.workflow WHERE status <> 'SUCCESS' AND name = 'program'`,
  );
  for (const { id, status } of open) wrong.push(`${id} is ${status}`);
  return wrong;
}
