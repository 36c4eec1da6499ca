// Processes that run orders on one database, the log that they share, and what has to be true of it in the end.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { PawlConfig } from '@pawl/core';
import pg from 'pg';
import { expect, vi } from 'vitest';
import { type Program, startProgram } from '../processes-suite/process.ts';
import type { Orders } from './processes/orders.ts';

const ORDERS = new URL('processes/orders.ts', import.meta.url);

export interface Note {
  at: number;
  pid: number;
  workflowID: string;
  what: string;
  token: string;
}

export type Member = Program<Orders>;

export interface FleetOptions {
  config?: PawlConfig;
  env?: Record<string, string>;
}

export interface Fleet {
  /** The processes that are meant to be alive. */
  readonly members: Set<Member>;
  /** Starts a process and launches its Pawl. */
  start(options?: FleetOptions): Promise<Member>;
  /** Takes it from the members and kills it. */
  kill(member: Member): Promise<void>;
  notes(workflowID?: string): Note[];
  /** The first note of that kind. */
  noted(workflowID: string, what: string, pid?: number): Promise<Note>;
  sql<Row>(text: string, params?: unknown[]): Promise<Row[]>;
  end(): Promise<void>;
}

export async function createFleet(url: string, defaults: FleetOptions = {}): Promise<Fleet> {
  const directory = mkdtempSync(path.join(tmpdir(), 'pawl-failover-'));
  const log = path.join(directory, 'runs.log');
  writeFileSync(log, '');
  const all = new Set<Member>();
  const members = new Set<Member>();
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  pool.on('error', () => {});
  await pool.query('CREATE TABLE entry (workflow_id text)');

  const notes = (workflowID?: string): Note[] => {
    const found: Note[] = [];
    for (const line of readFileSync(log, 'utf8').split('\n')) {
      const [, at, pid, id, what, token] = /^(\d+) (\d+) (\S+) (.*) (\S+)$/.exec(line) ?? [];
      if (id === undefined || (workflowID !== undefined && id !== workflowID)) continue;
      found.push({ at: Number(at), pid: Number(pid), workflowID: id, what: what ?? '', token: token ?? '' });
    }
    return found;
  };

  return {
    members,
    start: async ({ config, env } = defaults) => {
      const member = await startProgram<Orders>(ORDERS, {
        DATABASE: url,
        LOG: log,
        CONFIG: JSON.stringify(config ?? defaults.config ?? {}),
        ...defaults.env,
        ...env,
      });
      all.add(member);
      await member.call('launch');
      members.add(member);
      return member;
    },
    kill: async (member) => {
      members.delete(member);
      await member.kill();
    },
    notes,
    noted: (workflowID, what, pid) =>
      vi.waitFor(
        () => {
          const first = notes(workflowID).find(
            (one) => one.what === what && (pid === undefined || one.pid === pid),
          );
          if (first === undefined) throw new Error(`"${what}" of ${workflowID} was not noted.`);
          return first;
        },
        { timeout: 20_000, interval: 5 },
      ),
    sql: async <Row>(text: string, params: unknown[] = []) => (await pool.query(text, params)).rows as Row[],
    end: async () => {
      await Promise.all([...all].map((member) => member.kill()));
      await pool.end();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Whether a disturbance moved anything: the rows of all that ran, each with the transaction that wrote it last. */
export async function written(fleet: Fleet): Promise<string[]> {
  const tables = ['workflow', 'step', 'event', 'message'].map((name) => `pawl.${name}`);
  const rows: string[] = [];
  for (const table of [...tables, 'entry'])
    for (const { row } of await fleet.sql<{ row: string }>(
      `SELECT xmin || ' ' || t::text AS row FROM ${table} t ORDER BY 1`,
    ))
      rows.push(`${table} ${row}`);
  return rows;
}

interface Recorded {
  workflow_id: string;
  name: string;
  output: string;
}

/** No step ran again after the run that was recorded, and each transaction is there once. */
export async function expectOnce(fleet: Fleet): Promise<void> {
  const last = new Map<string, string>();
  for (const { workflowID, what, token } of fleet.notes()) last.set(`${workflowID} ${what}`, token);
  const steps = await fleet.sql<Recorded>(
    `SELECT workflow_id, name, output FROM pawl.step WHERE kind = 'step' AND completed_at IS NOT NULL`,
  );
  const again = steps.filter(
    ({ workflow_id: id, name, output }) => last.get(`${id} ${name}`) !== JSON.parse(output),
  );
  expect(again).toEqual([]);
  const twice = await fleet.sql('SELECT workflow_id FROM entry GROUP BY 1 HAVING count(*) > 1');
  expect(twice).toEqual([]);
  const without = await fleet.sql(
    `SELECT workflow_id FROM pawl.step s WHERE kind = 'transaction' AND completed_at IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.workflow_id = s.workflow_id)`,
  );
  expect(without).toEqual([]);
}
