// The bare database as a contender: the rows that any durable engine has to write, by hand, with no engine.
// Two tables as narrow as they can be, prepared statements, no look-ups, no fencing, no recovery.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { withClient } from '../database.ts';

const schema = `
  create table workflow (
    id text primary key,
    name text not null,
    status text not null,
    input text not null,
    output text,
    created_at timestamptz not null default now(),
    completed_at timestamptz
  );
  create table step (
    workflow_id text not null,
    step_id integer not null,
    name text not null,
    output text not null,
    completed_at timestamptz not null default now(),
    primary key (workflow_id, step_id)
  );`;

export interface BareDatabase {
  /** Three commits of one row each, in sequence: insert the start, insert the step, update to finished. */
  threeCommits(): Promise<void>;
  /** One commit of one row: insert a step. */
  oneCommit(): Promise<void>;
  /**
   * One group of `size` workflows with `steps` steps each, in lockstep on connection `connection`: one insert of
   * all start rows, then per step one insert of all step rows, then one update of all rows to finished. Each
   * statement is a commit of its own and is waited for, because a step may begin only when its predecessor is durable.
   */
  group(connection: number, size: number, steps: number): Promise<void>;
  durable(): Promise<{ workflows: number; steps: number }>;
  close(): Promise<void>;
}

export async function openBare(databaseUrl: string, connections: number): Promise<BareDatabase> {
  await withClient(databaseUrl, (client) => client.query(schema));
  const clients = await Promise.all(Array.from({ length: connections }, () => connect(databaseUrl)));
  const clientAt = (index: number): pg.Client => {
    const client = clients[index];
    if (client === undefined) throw new Error(`There is no connection ${index}.`);
    return client;
  };
  return {
    async threeCommits() {
      const client = clientAt(0);
      const id = randomUUID();
      await client.query({ ...startOne, values: [id, input] });
      await client.query({ ...stepOne, values: [id, output] });
      await client.query({ ...finishOne, values: [id, output] });
    },
    async oneCommit() {
      await clientAt(0).query({ ...stepOne, values: [randomUUID(), output] });
    },
    async group(connection, size, steps) {
      const client = clientAt(connection);
      const ids = Array.from({ length: size }, () => randomUUID()).sort();
      const inputs = ids.map(() => input);
      const outputs = ids.map(() => output);
      await client.query({ ...startGroup, values: [ids, inputs] });
      for (let step = 0; step < steps; step++) {
        await client.query({ ...stepGroup, values: [ids, step, outputs] });
      }
      const { rowCount } = await client.query({ ...finishGroup, values: [ids, outputs] });
      if (rowCount !== size) throw new Error(`${rowCount} of ${size} workflows finished.`);
    },
    async durable() {
      const { rows } = await clientAt(0).query<{ workflows: number; steps: number }>(
        `select (select count(*)::int from workflow where status = 'SUCCESS') as workflows,
                (select count(*)::int from step) as steps`,
      );
      return rows[0] ?? { workflows: 0, steps: 0 };
    },
    async close() {
      await Promise.all(clients.map((client) => client.end()));
    },
  };
}

async function connect(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  // The plan of the group update is made while the table is empty and kept: a scan of the table, which halves
  // the rate as rows pile up. The floor should be the best that SQL can do, so the index is forced.
  await client.query('set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off');
  return client;
}

const input = '[1,10]';
const output = '46';

const startOne = {
  name: 'start-one',
  text: `insert into workflow (id, name, status, input) values ($1, 'count', 'PENDING', $2)`,
};
const stepOne = {
  name: 'step-one',
  text: `insert into step (workflow_id, step_id, name, output) values ($1, 0, 'add', $2)`,
};
const finishOne = {
  name: 'finish-one',
  text: `update workflow set status = 'SUCCESS', output = $2, completed_at = now() where id = $1`,
};
const startGroup = {
  name: 'start-group',
  text: `insert into workflow (id, name, status, input)
         select id, 'count', 'PENDING', input from unnest($1::text[], $2::text[]) as started (id, input)`,
};
const stepGroup = {
  name: 'step-group',
  text: `insert into step (workflow_id, step_id, name, output)
         select id, $2::int, 'add', output from unnest($1::text[], $3::text[]) as done (id, output)`,
};
const finishGroup = {
  name: 'finish-group',
  text: `update workflow set status = 'SUCCESS', output = done.output, completed_at = now()
         from unnest($1::text[], $2::text[]) as done (id, output) where workflow.id = done.id`,
};
