// Runs one turn of one contender in a process of its own, so that contenders share neither heap nor compiled
// code. Owns the child's life: it never outlives its time or its parent.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Contender, Figures, Turn } from './contract.ts';

export interface Assignment {
  scenario: string;
  contender: Contender;
  turn: Turn;
}

export type Outcome = { figures: Figures } | { failure: string };

const childFile = fileURLToPath(new URL('./child.ts', import.meta.url));

export interface TurnOptions {
  /** Ends the turn at once; its outcome is then a failure. */
  signal: AbortSignal;
  /** The longest that it may take, if the load does not say. */
  minutes?: number | undefined;
  /** Where a CPU profile of the child goes. */
  cpuProfiles?: string | undefined;
}

export async function runTurn(
  assignment: Assignment,
  { signal, cpuProfiles, minutes }: TurnOptions,
): Promise<Outcome> {
  // The load stops by itself; this is for one that hangs.
  const limitSeconds =
    minutes === undefined ? 60 + 5 * (assignment.turn.warmupSeconds + assignment.turn.seconds) : minutes * 60;
  const profiling = cpuProfiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProfiles}`];
  const child = fork(childFile, [JSON.stringify(assignment)], {
    // Conditions of the parent must not reach the child: contenders load what their packages publish.
    execArgv: ['--import', 'tsx', ...profiling],
    env: { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const endChild = (): void => void child.kill('SIGKILL');
  process.once('exit', endChild);
  signal.addEventListener('abort', endChild);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    endChild();
  }, limitSeconds * 1000);

  // Shown only when the turn fails: contenders may say what they like while all is well.
  let output = '';
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-4000);
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);

  try {
    return await new Promise<Outcome>((resolve) => {
      let outcome: Outcome | undefined;
      child.on('message', (message) => {
        outcome = message as Outcome;
      });
      child.on('error', (error) => resolve({ failure: String(error) }));
      child.on('close', (code, endSignal) => {
        const reason = timedOut
          ? `gave no result within ${limitSeconds} s`
          : `ended with ${endSignal ?? code}`;
        if (outcome === undefined) resolve({ failure: `The process ${reason}.\n${output}` });
        else if ('failure' in outcome) resolve({ failure: `${outcome.failure}\n${output}` });
        else resolve(outcome);
      });
    });
  } finally {
    clearTimeout(timer);
    process.off('exit', endChild);
    signal.removeEventListener('abort', endChild);
  }
}
