// Several workers on one database, and the file in which they note what they run.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { PawlConfig } from '@pawl/core';
import { expect, vi } from 'vitest';
import { type Program, startProgram } from './process.ts';
import type { Worker } from './processes/worker.ts';

const WORKER = new URL('processes/worker.ts', import.meta.url);

interface Note {
  at: number;
  pid: number;
  workflowID: string;
  what: string;
}

export interface Workers {
  /** A new process, launched. */
  start(options?: WorkerOptions): Promise<Program<Worker>>;
  /** A new process that was not told to launch. */
  open(options?: WorkerOptions): Promise<Program<Worker>>;
  notes(workflowID: string, what?: string): Note[];
  /** Resolves with the first note of that kind. */
  noted(workflowID: string, what: string): Promise<Note>;
  end(): Promise<void>;
}

interface WorkerOptions {
  config?: PawlConfig;
  /** Workflows that this one does not register. */
  without?: string[];
  /** Poison does it no harm. */
  immune?: boolean;
}

export function createWorkers(database: string): Workers {
  const directory = mkdtempSync(path.join(tmpdir(), 'pawl-workers-'));
  const log = path.join(directory, 'notes.log');
  writeFileSync(log, '');
  const programs = new Set<Program<Worker>>();

  const open = async ({ config = {}, without = [], immune = false }: WorkerOptions = {}) => {
    const program = await startProgram<Worker>(WORKER, {
      DATABASE: database,
      LOG: log,
      CONFIG: JSON.stringify(config),
      WITHOUT: without.join(','),
      IMMUNE: String(immune),
    });
    programs.add(program);
    return program;
  };
  const notes = (workflowID: string, what?: string): Note[] =>
    readFileSync(log, 'utf8')
      .split('\n')
      .flatMap((line) => {
        const [, at, pid, id, noted] = /^(\d+) (\d+) (\S+) (.*)$/.exec(line) ?? [];
        return id === workflowID && noted !== undefined && (what === undefined || noted === what)
          ? [{ at: Number(at), pid: Number(pid), workflowID: id, what: noted }]
          : [];
      });
  return {
    open,
    start: async (options) => {
      const program = await open(options);
      await program.call('launch');
      return program;
    },
    notes,
    noted: (workflowID, what) =>
      vi.waitFor(
        () => {
          const [first] = notes(workflowID, what);
          if (first === undefined) throw new Error(`"${what}" of ${workflowID} was not noted.`);
          return first;
        },
        { timeout: 20_000, interval: 5 },
      ),
    end: async () => {
      await Promise.all([...programs].map((program) => program.kill()));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/**
 * Measures again and again until it took no longer than a quiet machine takes, and says what was the least. More than
 * three times as long is a failure: then it is not the machine that was busy. `TIMES=strict` allows no more than the limit.
 */
export async function within(
  limitMs: number,
  tries: number,
  what: string,
  measure: (attempt: number) => Promise<number>,
): Promise<void> {
  let least = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < tries && least > limitMs; attempt++)
    least = Math.min(least, await measure(attempt));
  console.log(`${what} ${Math.round(least)} ms`);
  expect(least).toBeLessThan(process.env['TIMES'] === 'strict' ? limitMs : 3 * limitMs);
}
