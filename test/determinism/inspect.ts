// Looks at what a batch left in the database, and compares it with what was seen while it ran.

import type { Batch, NamedProgram } from './generations.ts';
import { isPossible, leavesOf } from './program.ts';

interface StepRow {
  step_id: number;
  name: string | null;
  target: string | null;
  kind: string;
  completed: boolean;
}

/** Kinds whose row does not name the label of the program's leaf. */
const NAMELESS = new Set(['start', 'getResult', 'send', 'sleep', 'randomUUID']);

/** Sentences about what is wrong. */
export async function inspect(
  batch: Pick<Batch, 'workflows' | 'endings' | 'recorder'> & {
    world: Pick<Batch['world'], 'sql' | 'schema' | 'table'>;
  },
): Promise<string[]> {
  const { sql, schema } = batch.world;
  const open = await sql<{ id: string; status: string; blocked: string | null }>(
    // Children that lost a race may still run.
    `SELECT id, status, blocked FROM ${schema}.workflow WHERE name = 'program' AND status <> 'SUCCESS'`,
  );
  if (open.length > 0)
    return open.map(({ id, status, blocked }) => `${id} is still ${status}: ${blocked ?? 'not blocked'}`);
  const wrong: string[] = [];
  for (const workflow of batch.workflows) wrong.push(...(await inspectOne(batch, workflow)));
  return wrong;
}

async function inspectOne(
  { world: { sql, schema, table }, recorder, endings }: Parameters<typeof inspect>[0],
  { id, program }: NamedProgram,
): Promise<string[]> {
  const wrong: string[] = [];
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
  const recordedOrder = steps
    .filter(({ step_id, completed }) => completed && known.has(step_id))
    .map(({ step_id }) => step_id)
    .join(' ');
  const deliveredOrder = results.map(({ stepID }) => stepID).join(' ');
  if (recordedOrder !== deliveredOrder)
    wrong.push(`${id} recorded the order ${recordedOrder} but delivered ${deliveredOrder}`);

  for (const { label, stepID } of results) {
    const row = steps.find(({ step_id }) => step_id === stepID);
    if (row === undefined) wrong.push(`${id} has no step ${stepID}, which was ${label}`);
    else if (!NAMELESS.has(row.kind) && row.name !== label && row.target !== label)
      wrong.push(`${id} has "${row.name}" for "${row.target}" as step ${stepID}, which was ${label}`);
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

  const [twice] = await sql<{ topic: string }>(
    `SELECT topic FROM ${schema}.message WHERE destination = $1 GROUP BY topic HAVING count(*) > 1`,
    [id],
  );
  if (twice !== undefined) wrong.push(`${id} has two messages of topic ${twice.topic}`);
  return wrong;
}
