// The JSON that a run leaves: its form, and how it is written and read. The page in docs/ is made of nothing else.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Contender, Figures } from './contract.ts';
import type { Environment } from './environment.ts';
import type { Comparison } from './report.ts';

export interface RunResults extends Environment {
  finishedAt: string;
  settings: { rounds: number; seconds?: number; warmupSeconds?: number };
  /** What the benchmark leaves. */
  scenarios?: readonly ScenarioResults[];
  /** What the growth command leaves. */
  curves?: readonly CurveResults[];
  /** What the statements command leaves. */
  statements?: StatementsResults;
  /** What the profile command leaves. */
  profiles?: readonly ProfileResults[];
}

export interface ScenarioResults {
  id: string;
  title: string;
  unit: string;
  bareUnit: string;
  medians: Partial<Record<Contender, Figures>>;
  comparisons: readonly Comparison[];
  rounds: readonly Partial<Record<Contender, Figures>>[];
  failures: readonly { contender: Contender; message: string }[];
}

export interface CurveResults {
  id: string;
  title: string;
  quantity: string;
  points: readonly PointResults[];
  failures: readonly { x: number; message: string }[];
}

interface PointResults {
  x: number;
  medians: Figures;
  rounds: readonly Figures[];
}

export interface StatementsResults {
  /** What the full tables held. */
  rows: { finished: number; parked: number; queued: number };
  loads: readonly { concurrency: number; statements: readonly StatementCost[] }[];
}

export interface StatementCost {
  /** The function that the client called, or the text of a statement inside one. */
  text: string;
  isCall: boolean;
  /** Of all its calls on the full tables. */
  totalMs: number;
  empty: PerCall;
  full: PerCall;
}

interface PerCall {
  calls: number;
  micros: number;
  /** Pages that were looked at. */
  blocks: number;
}

export interface ProfileResults {
  /** The scenario that was profiled. */
  id: string;
  clientCpuMicrosPerUnit: number;
  serverCpuMicrosPerUnit: number;
  /** `share` of the time of all calls, in which that of what is inside a function is contained. */
  statements: readonly {
    text: string;
    isCall: boolean;
    callsPerUnit: number;
    micros: number;
    share: number;
  }[];
  /** Whose code the process was in, as shares of its CPU time. */
  code: readonly { owner: string; share: number }[];
}

export async function writeResults(file: string, results: RunResults): Promise<void> {
  await mkdir(path.dirname(path.resolve(file)), { recursive: true });
  await writeFile(file, `${JSON.stringify(results, withoutPlaces, 2)}\n`);
  console.log(`Figures written to ${file}.`);
}

const checkout = path.resolve(import.meta.dirname, '../..');

/** Of a failure its first line: results are published, and a stack names the directories of one machine. */
function withoutPlaces(key: string, value: unknown): unknown {
  if (key !== 'message' || typeof value !== 'string') return value;
  return (value.split('\n')[0] ?? '').replaceAll(checkout, '.');
}

export async function readResults(file: string): Promise<RunResults> {
  return JSON.parse(await readFile(file, 'utf8')) as RunResults;
}
